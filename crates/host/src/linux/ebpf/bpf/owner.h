/* Who uses a socket. */
#pragma once
#include "identity.h"

/* A process in one number, so that it changes at once: its start in clock ticks (1/100 s, as in /proc) above its id. */
typedef u64 owner_t;

#define OWNER_BITS 22 /* process ids are below 4,194,304 */
#define OWNER_PROCESS ((1u << OWNER_BITS) - 1)
#define NANOSECONDS_IN_TICK 10000000
#define IS_KERNEL_THREAD 0x00200000

/* So many changes of a socket's user are followed. Then it is shared, between the last two. */
#define MOST_CHANGES 4

INLINE u32 process_of(owner_t owner) {
    return (u32)owner & OWNER_PROCESS;
}

INLINE owner_t owner_of(struct task_struct *task) {
    u64 start = task->group_leader->start_boottime / NANOSECONDS_IN_TICK;
    return start << OWNER_BITS | (process_id(task) & OWNER_PROCESS);
}

INLINE u32 current_process(void) {
    return process_id(bpf_get_current_task_btf());
}

/* The users of one socket. */
struct users {
    owner_t now;    /* who used it last, 0 while nobody has */
    owner_t former; /* who did before */
    u8 changes;
    u8 is_held;   /* `now` holds a descriptor, and was not seen to use it */
    u8 is_shared; /* several use it, or hold it */
};

/* Does this process add nothing new? */
INLINE int is_known_user(const struct users *users, u32 process) {
    return (process_of(users->now) == process && !users->is_held) || users->changes >= MOST_CHANGES;
}

INLINE int is_kernel_thread(void) {
    struct task_struct *task = bpf_get_current_task_btf();
    return task->flags & IS_KERNEL_THREAD;
}

/* Notes that the current task uses the socket. Threads of the kernel carry out what others began. */
INLINE void note_user(struct users *users) {
    struct task_struct *task = bpf_get_current_task_btf();
    if (users->now && (task->flags & IS_KERNEL_THREAD))
        return;
    owner_t owner = owner_of(task);
    if (users->now && users->now != owner && !users->is_held) {
        users->former = users->now;
        users->changes += 1;
        if (users->changes >= MOST_CHANGES)
            users->is_shared = 1;
    }
    users->now = owner;
    if (users->is_held) {
        users->is_held = 0;
        users->is_shared = 0;
    }
}

/* Notes that `task` holds a descriptor of the socket. */
INLINE void note_holder(struct users *users, struct task_struct *task) {
    owner_t owner = owner_of(task);
    if (!users->now) {
        users->now = owner;
        users->is_held = 1;
    } else if (users->now != owner && users->is_held && !users->is_shared) {
        users->former = owner;
        users->is_shared = 1;
    }
}
