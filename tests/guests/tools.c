/* Small tools in one program, for the C library that no package of the distribution links.
 *
 * A tool's name and its arguments come in, as for the programs of the same name in tests/programs.list;
 * what they print goes out. Always true: each tool works through a different part of the C library:
 * streams, memory, sorting, patterns, directories, times, conversion, the environment. Without a file's
 * name a tool reads standard input. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <regex.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <locale.h>

static FILE *input(char **words, int at) {
    if (!words[at] || strcmp(words[at], "-") == 0)
        return stdin;
    FILE *file = fopen(words[at], "r");
    if (!file) {
        fprintf(stderr, "%s: %s\n", words[at], strerror(errno));
        exit(1);
    }
    return file;
}

struct lines {
    char **line;
    size_t count;
};

static struct lines read_lines(FILE *file) {
    struct lines all = {NULL, 0};
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    while ((length = getline(&line, &size, file)) > 0) {
        if (line[length - 1] == '\n')
            line[length - 1] = 0;
        all.line = realloc(all.line, (all.count + 1) * sizeof *all.line);
        all.line[all.count++] = strdup(line);
    }
    free(line);
    return all;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int cat(char **words) {
    char block[4096];
    int file = words[0] ? open(words[0], O_RDONLY) : 0;
    ssize_t got;
    if (file < 0)
        return perror(words[0]), 1;
    while ((got = read(file, block, sizeof block)) > 0)
        if (write(1, block, (size_t)got) != got)
            return 1;
    return got != 0;
}

static int wc(char **words) {
    FILE *file = input(words, 0);
    long lines = 0, tokens = 0, bytes = 0;
    int c, inside = 0;
    while ((c = getc(file)) != EOF) {
        bytes++;
        lines += c == '\n';
        tokens += !isspace(c) && !inside;
        inside = !isspace(c);
    }
    printf("%ld %ld %ld\n", lines, tokens, bytes);
    return 0;
}

static int sort(char **words) {
    struct lines all = read_lines(input(words, 0));
    qsort(all.line, all.count, sizeof *all.line, by_text);
    for (size_t i = 0; i < all.count; i++)
        puts(all.line[i]);
    return 0;
}

static int uniq(char **words) {
    struct lines all = read_lines(input(words, 0));
    qsort(all.line, all.count, sizeof *all.line, by_text);
    for (size_t i = 0, n; i < all.count; i += n) {
        for (n = 1; i + n < all.count && strcmp(all.line[i], all.line[i + n]) == 0; n++)
            ;
        printf("%7zu %s\n", n, all.line[i]);
    }
    return 0;
}

static int tac(char **words) {
    struct lines all = read_lines(input(words, 0));
    while (all.count)
        puts(all.line[--all.count]);
    return 0;
}

static int rev(char **words) {
    struct lines all = read_lines(input(words, 0));
    for (size_t i = 0; i < all.count; i++) {
        for (size_t n = strlen(all.line[i]); n; n--)
            putchar(all.line[i][n - 1]);
        putchar('\n');
    }
    return 0;
}

static int grep(char **words) {
    regex_t pattern;
    int found = 0;
    if (regcomp(&pattern, words[0], REG_EXTENDED | REG_NOSUB))
        return 2;
    struct lines all = read_lines(input(words, 1));
    for (size_t i = 0; i < all.count; i++)
        if (regexec(&pattern, all.line[i], 0, NULL, 0) == 0)
            found = printf("%zu:%s\n", i + 1, all.line[i]);
    regfree(&pattern);
    return !found;
}

static int cut(char **words) {
    struct lines all = read_lines(input(words, 1));
    for (size_t i = 0; i < all.count; i++) {
        char *rest, *field = strtok_r(all.line[i], " ", &rest);
        for (long n = strtol(words[0], NULL, 10); field && n > 1; n--)
            field = strtok_r(NULL, " ", &rest);
        puts(field ? field : "");
    }
    return 0;
}

static int sum(char **words) {
    FILE *file = input(words, 0);
    uint64_t hash = UINT64_C(14695981039346656037);
    int c;
    while ((c = getc(file)) != EOF)
        hash = (hash ^ (uint64_t)c) * UINT64_C(1099511628211);
    printf("%016" PRIx64 "\n", hash);
    return 0;
}

static int statistics(char **words) {
    FILE *file = input(words, 0);
    double value, sum = 0, squares = 0;
    long n = 0;
    while (fscanf(file, "%*s %lf", &value) == 1)
        n++, sum += value, squares += value * value;
    printf("%ld %.6f %.6e %a\n", n, sum / (double)n, sqrt(squares), sum);
    return 0;
}

static int map(char **words) {
    struct stat about;
    int file = open(words[0], O_RDWR);
    if (file < 0 || fstat(file, &about))
        return perror(words[0]), 1;
    char *text = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (text == MAP_FAILED)
        return perror("mmap"), 1;
    for (off_t i = 0; i < about.st_size; i++)
        text[i] = (char)toupper((unsigned char)text[i]);
    return msync(text, (size_t)about.st_size, MS_SYNC);
}

static int copy(char **words) {
    int from = open(words[0], O_RDONLY), to = open(words[1], O_WRONLY | O_CREAT | O_EXCL, 0640);
    char left[100], right[200];
    struct iovec parts[2] = {{left, sizeof left}, {right, sizeof right}};
    ssize_t got;
    if (from < 0 || to < 0)
        return perror("copy"), 1;
    while ((got = readv(from, parts, 2)) > 0) {
        parts[0].iov_len = (size_t)(got < 100 ? got : 100);
        parts[1].iov_len = (size_t)(got < 100 ? 0 : got - 100);
        if (writev(to, parts, 2) != got)
            return 1;
        parts[0].iov_len = sizeof left, parts[1].iov_len = sizeof right;
    }
    return fsync(to);
}

static int ls(char **words) {
    struct dirent **entries;
    int count = scandir(words[0] ? words[0] : ".", &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        struct stat about;
        if (entries[i]->d_name[0] == '.' || stat(entries[i]->d_name, &about))
            continue;
        char when[40];
        struct tm broken;
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", gmtime_r(&about.st_mtime, &broken));
        printf("%06o %2d %8lld %s %s\n", (unsigned)about.st_mode, (int)about.st_nlink,
               (long long)about.st_size, when, entries[i]->d_name);
    }
    return count < 0;
}

static int found(const char *path, const struct stat *about, int kind, struct FTW *at) {
    if (kind == FTW_F && fnmatch("*.txt", path + at->base, 0) == 0)
        printf("%s %lld %d\n", path, (long long)about->st_size, at->level);
    return 0;
}

static int by_time(char **words) {
    for (int i = 0; words[i]; i++) {
        struct tm broken = {0};
        char *rest = strptime(words[i], "%Y-%m-%d", &broken);
        printf("%lld %s\n", (long long)timegm(&broken), rest && *rest == 0 ? "whole" : "rest");
    }
    return 0;
}

static int folders(char **words) {
    char here[4096];
    (void)words;
    if (mkdir("a", 0750) || mkdir("a/b", 0700) || symlink("a/b", "c") || chdir("c"))
        return perror("folders"), 1;
    FILE *file = fopen("inside.txt", "wx");
    fprintf(file, "%-10s|%+d|%05.1f|%x\n", "text", 42, 2.25, 255u);
    fclose(file);
    if (!getcwd(here, sizeof here) || chdir("../..") || rename("a/b/inside.txt", "moved.txt"))
        return perror("folders"), 1;
    puts(strrchr(here, '/'));
    int result = rmdir("a");
    printf("%d %d\n", result, errno);
    return nftw(".", found, 4, FTW_PHYS) || truncate("moved.txt", 5) || link("moved.txt", "d");
}

static jmp_buf out;

static int jump(char **words) {
    volatile int count = 0;
    (void)words;
    int value = setjmp(out);
    if (++count < 5)
        longjmp(out, value + 2);
    printf("%d %d\n", count, value);
    return value;
}

static int environment(char **words) {
    struct utsname machine;
    (void)words;
    for (char **variable = environ; *variable; variable++)
        puts(*variable);
    setenv("ADDED", "yes", 1);
    unsetenv("TZ");
    uname(&machine);
    printf("%s %s %s\n", getenv("ADDED"), getenv("TZ") ? "TZ" : "no TZ", machine.sysname);
    return 0;
}

static int wide(char **words) {
    FILE *file = input(words, 0);
    wint_t c;
    long n = 0, sum = 0;
    setlocale(LC_CTYPE, "C.UTF-8");
    while ((c = getwc(file)) != WEOF)
        n++, sum += (long)c;
    printf("%ld %ld\n", n, sum);
    return 0;
}

static int heap(char **words) {
    unsigned state = 1, sum = 0;
    char *blocks[200] = {0};
    (void)words;
    for (int i = 0; i < 20000; i++) {
        state = state * 1103515245 + 12345;
        unsigned at = (state >> 16) % 200, size = (state >> 8) % 70000 + 1;
        if (blocks[at])
            sum = sum * 31 + (unsigned char)blocks[at][0];
        free(blocks[at]);
        blocks[at] = malloc(size);
        memset(blocks[at], (int)(state >> 24), size);
    }
    printf("%u\n", sum);
    return 0;
}

static int die(char **words) {
    printf("before\n");
    fflush(stdout);
    if (strcmp(words[0], "abort") == 0)
        abort();
    if (strcmp(words[0], "fault") == 0)
        *(volatile int *)16 = 1;
    if (strcmp(words[0], "divide") == 0)
        __asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" ::: "eax", "ecx", "edx");
    return 3;
}

static const struct {
    const char *name;
    int (*run)(char **words);
} tools[] = {
    {"cat", cat},   {"wc", wc},         {"sort", sort}, {"uniq", uniq}, {"tac", tac},
    {"rev", rev},   {"grep", grep},     {"cut", cut},   {"sum", sum},   {"statistics", statistics},
    {"map", map},   {"copy", copy},     {"ls", ls},     {"time", by_time},
    {"folders", folders}, {"jump", jump}, {"environment", environment}, {"wide", wide},
    {"heap", heap}, {"die", die},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof tools / sizeof *tools; i++)
        if (strcmp(argv[1], tools[i].name) == 0)
            return tools[i].run(argv + 2);
    fprintf(stderr, "usage: tools NAME ARGUMENTS...\n");
    return 2;
}
