/* The id by which a process is known to whoever watches.
 *
 * A watcher in a pid namespace of its own, as in a container, knows processes by the ids of that namespace, and those
 * outside of it not at all: they have the id 0. */
#pragma once
#include "kernel.h"

/* Inode number of the watcher's pid namespace; 0 where that is the host's own. */
const volatile u32 process_namespace = 0;

/* As deep as the kernel nests them. */
#define MOST_LEVELS 32

static __attribute__((noinline)) u32 process_id_within(struct task_struct *task) {
    struct pid *pid;
    u32 level;
    READ(pid, task->group_leader->thread_pid);
    READ(level, pid->level);
    struct upid *each = pid->numbers;
    for (u32 i = 0; i < MOST_LEVELS && i <= level; i++, each++) {
        struct pid_namespace *namespace;
        u32 inode, number;
        READ(namespace, each->ns);
        READ(inode, namespace->ns.inum);
        READ(number, each->nr);
        if (inode == process_namespace)
            return number;
    }
    return 0;
}

INLINE u32 process_id(struct task_struct *task) {
    return process_namespace ? process_id_within(task) : (u32)task->tgid;
}
