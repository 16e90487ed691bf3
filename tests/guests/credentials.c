/* Supplementary groups: who may set them, what is kept, and who inherits them.
 *
 * A part's name comes in, lines go out. Always true: whoever lets this program start as somebody without
 * privileges sees other lines, the same natively and as a guest; what a process may reach by its groups is
 * not tried. */
#include "family.h"
#include <grp.h>

#define MOST 65536

static gid_t groups[MOST + 1];

static void show(const char *who) {
    int count = getgroups(MOST, groups);
    char text[256] = "";
    for (int i = 0, at = 0; i < count && at < 200; i++)
        at += snprintf(text + at, sizeof text - at, " %u", groups[i]);
    say("%s: %d groups%s", who, count, text);
}

static long set(long count, const gid_t *list) { return raw(SYS_setgroups, count, list); }

static void show_status(void) {
    char line[512];
    FILE *file = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, file))
        if (strncmp(line, "Groups:", 7) == 0)
            line[strcspn(line, "\n")] = 0, say("%s", line);
    fclose(file);
}

static void sets(void) {
    say("none: %ld", set(0, NULL)), show("none");
    say("some: %ld", set(4, (gid_t[]){7, 70000, 5, 7})), show("some"), show_status();
    say("count: %ld", raw(SYS_getgroups, 0, NULL));
    say("too little room: %ld", raw(SYS_getgroups, 3, groups));
    say("bad address: %ld", raw(SYS_getgroups, 4, (void *)8));
    say("negative room: %ld", raw(SYS_getgroups, -1, groups));
    for (int i = 0; i <= MOST; i++)
        groups[i] = i;
    say("most: %ld", set(MOST, groups)), say("have: %ld", raw(SYS_getgroups, 0, NULL));
    say("too many: %ld", set(MOST + 1, groups)), say("negative: %ld", set(-1, groups));
    say("from nowhere: %ld", set(2, (gid_t *)8)), say("no group: %ld", set(1, (gid_t[]){-1}));
    say("have: %ld", raw(SYS_getgroups, 0, NULL));
    say("by name: %ld", got(initgroups("root", 12))), show("by name");
}

static void *in_thread(void *name) {
    show(name);
    if (strcmp(name, "thread") == 0)
        say("by a thread: %ld", got(setgroups(1, (gid_t[]){9})));
    return NULL;
}

static void is_kept(void) {
    say("set: %ld", got(setgroups(2, (gid_t[]){3, 4})));
    pthread_t thread;
    pthread_create(&thread, NULL, in_thread, "thread"), pthread_join(thread, NULL);
    show("all threads");
    say("a child's end: %s", in_words(status_of(CHILD(show("child"), set(1, (gid_t[]){1}), show("child's own")))));
    show("parent");
    say("an image's end: %s", in_words(status_of(CHILD(execl(self, self, "look", NULL)))));
}

static void needs_privileges(void) {
    say("set: %ld", set(2, (gid_t[]){3, 4}));
    say("another user: %ld", raw(SYS_setresuid, -1, 1000, -1));
    say("set: %ld", set(1, (gid_t[]){5})), say("too many: %ld", set(MOST + 1, groups)), show("unprivileged");
    say("back: %ld", raw(SYS_setresuid, -1, 0, -1));
    say("set: %ld", set(1, (gid_t[]){5})), show("privileged");
    say("for good: %ld", raw(SYS_setresuid, 1000, 1000, 1000));
    say("set: %ld", set(0, NULL)), show("unprivileged");
}

static void look(void) { show("image"); }

int main(int count, char **words) {
    static const struct part parts[] = {
        {"sets", sets}, {"is-kept", is_kept}, {"needs-privileges", needs_privileges}, {"look", look}, {NULL, NULL}};
    return run_parts(parts, count, words);
}
