/* Floors: control from one process to another and back, by one word of shared memory.
 *
 * One operation is a hand-over that says nothing, and the one back. It is the least of a call that somebody
 * else answers: who waits either sleeps in a futex, which is all one can do on one processor, or looks at
 * the word without end, on a processor of its own. `futex-tsc` is the same as `futex` with PR_SET_TSC on
 * the other side: where the time stamp counter is trapped in a guest, each hand-over changes a control
 * register, which is slow in virtual machines. All on one processor is the caller's business; spinning
 * chooses two by itself. */
#include "../measure.h"

#include <linux/futex.h>
#include <sched.h>

enum { OURS, THEIRS };

/* One cache line. */
struct word {
    _Alignas(64) _Atomic uint32_t turn, sleeps;
};

static struct word *word;

static void hand_over(uint32_t to) {
    atomic_store(&word->turn, to);
    if (atomic_exchange(&word->sleeps, 0))
        raw(SYS_futex, (long)&word->turn, FUTEX_WAKE, 1, 0);
}

static void wait_sleeping(uint32_t turn) {
    while (atomic_load(&word->turn) != turn) {
        atomic_store(&word->sleeps, 1);
        if (atomic_load(&word->turn) != turn)
            raw(SYS_futex, (long)&word->turn, FUTEX_WAIT, 1 - turn, 0);
    }
}

static void answer_sleeping(void) {
    for (;;) {
        wait_sleeping(THEIRS);
        hand_over(OURS);
    }
}

static void prepare_futex(void) {
    word = shared_memory(sizeof *word);
    if (companion() == 0)
        answer_sleeping();
}

static void prepare_tsc(void) {
    word = shared_memory(sizeof *word);
    if (prctl(PR_SET_TSC, PR_TSC_ENABLE))
        unavailable("PR_SET_TSC");
    if (companion() == 0) {
        prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
        answer_sleeping();
    }
}

static void run_sleeping(long count) {
    for (long i = 0; i < count; i++) {
        hand_over(THEIRS);
        wait_sleeping(OURS);
    }
}

static void wait_spinning(uint32_t turn) {
    while (atomic_load_explicit(&word->turn, memory_order_acquire) != turn)
        __builtin_ia32_pause();
}

static void pin(int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void prepare_spin(void) {
    word = shared_memory(sizeof *word);
    cpu_set_t all;
    sched_getaffinity(0, sizeof all, &all);
    int first = -1, last = -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            first = first < 0 ? cpu : first;
            last = cpu;
        }
    }
    if (first == last) {
        errno = ENXIO;
        unavailable("a second processor");
    }
    pin(first);
    if (companion() == 0) {
        pin(last);
        for (;;) {
            wait_spinning(THEIRS);
            atomic_exchange(&word->turn, OURS);
        }
    }
}

static void run_spin(long count) {
    for (long i = 0; i < count; i++) {
        atomic_exchange(&word->turn, THEIRS);
        wait_spinning(OURS);
    }
}

int main(int argc, char **argv) {
    static const struct operation operations[] = {
        {"futex", prepare_futex, run_sleeping, 0, 0},
        {"futex-tsc", prepare_tsc, run_sleeping, 0, 0},
        {"spin", prepare_spin, run_spin, 0, 0},
        {0},
    };
    return measure(argc, argv, operations);
}
