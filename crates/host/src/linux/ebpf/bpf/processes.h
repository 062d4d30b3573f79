/* Processes: what was forked, became a program, and ended.
 *
 * The record of an exec says all that a process of one millisecond may be asked about, because nobody can ask it later:
 * its file (by path and by inode), arguments, folder, control group, LD_PRELOAD, and whether its standard input or
 * output is a network socket. An exec takes about half a millisecond; this adds a few microseconds.
 *
 * Texts follow the fixed part of that record, each as long as the record says. A path is written from its end to the
 * root, one name after the other and each with its NUL, because that is how the kernel's tree is walked. */
#pragma once
#include "identity.h"
#include "ring.h"

enum process_kind { KIND_FORK = 16, KIND_EXEC = 17, KIND_EXIT = 18 };

/* Bounds. Where one is reached, a flag says so. */
#define MOST_COMPONENTS 48
#define NAME_ROOM 256
#define PATH_ROOM 2048
#define GROUP_ROOM 1024
#define FILENAME_ROOM 1024
#define PRELOAD_ROOM 640
#define ARGUMENTS_ROOM 8192
#define MOST_VARIABLES 4096
/* Every text begins below this. */
#define TEXT_LIMIT 8192
#define TEXT_ROOM (TEXT_LIMIT + ARGUMENTS_ROOM)

enum exec_flag {
    FILE_HAS_NO_LINK = 1 << 0,
    FILE_IS_UNHASHED = 1 << 1, /* its name was taken away, or the file system forgot it */
    FILE_IS_NAMELESS = 1 << 2, /* it never was in a folder, as memory files */
    HAS_INTERPRETER = 1 << 3,  /* the file named is a script */
    PATH_IS_CUT = 1 << 4,
    FOLDER_IS_CUT = 1 << 5,
    GROUP_IS_CUT = 1 << 6,
    ARGUMENTS_ARE_CUT = 1 << 7,
    ARGUMENTS_ARE_UNREAD = 1 << 8,
    ENVIRONMENT_IS_UNREAD = 1 << 9,
    HAS_STANDARD_SOCKET = 1 << 10,
};

/* Times are nanoseconds since boot. */
struct fork_record {
    u32 kind, pid;
    u64 time, start, parent_start;
    u64 groups; /* as control_groups() */
    u32 parent, user, network, is_kernel_thread;
    char name[16];
};

struct exec_record {
    u32 kind, pid;
    u64 time, start, parent_start, groups;
    u64 inode, size;
    s64 modified, changed;
    u32 modified_nanoseconds, changed_nanoseconds;
    u32 device, parent, user, network, mounts, flags;
    char name[16];
    /* Lengths of the texts, in this order. */
    u16 executable, folder, filename, group, preload, arguments;
    u32 unused;
};

struct exit_record {
    u32 kind, pid;
    u64 time, start;
    u32 status; /* as wait() gives it */
    u32 unused;
};

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define AF_INET 2
#define AF_INET6 10
#define PF_KTHREAD 0x00200000
#define SIGNAL_GROUP_EXIT 4

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
    int counter;
} atomic_t;
struct timespec64 {
    s64 tv_sec;
    long tv_nsec;
};
struct super_block {
    u32 s_dev;
};
struct inode {
    u16 i_mode;
    struct super_block *i_sb;
    unsigned long i_ino;
    unsigned int i_nlink;
    s64 i_size;
    s64 i_mtime_sec, i_ctime_sec;
    u32 i_mtime_nsec, i_ctime_nsec;
};
/* The times of an inode were renamed three times. */
struct inode___before_6_11 {
    struct timespec64 __i_mtime, __i_ctime;
};
struct inode___before_6_7 {
    struct timespec64 i_mtime;
};
struct inode___before_6_6 {
    struct timespec64 i_ctime;
};
struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
};
struct mm_struct {
    unsigned long arg_start, arg_end, env_start, env_end;
    struct file *exe_file;
};
struct linux_binprm {
    const char *filename, *interp;
};
struct cred {
    kuid_t uid;
};
struct fs_struct {
    struct path pwd;
};
struct fdtable {
    struct file **fd;
};
struct files_struct {
    struct fdtable *fdt;
};
struct mnt_namespace {
    struct ns_common ns;
};
struct nsproxy {
    struct mnt_namespace *mnt_ns;
    struct net *net_ns;
};
struct signal_struct {
    atomic_t live;
    int group_exit_code;
    unsigned int flags;
};
struct cgroup_subsys_state {
    u64 serial_nr;
};
struct css_set {
    struct cgroup_subsys_state *subsys[16];
    struct cgroup *dfl_cgrp;
};

#pragma clang attribute pop

/* Where a record is put together. The loops keep their state here, too, and not in registers: of memory the verifier
 * expects any value, so that one round of a loop is like all others to it. */
struct exec_scratch {
    struct exec_record record;
    u8 texts[TEXT_ROOM];
    u32 at; /* where the next text goes */
    u32 limit; /* where the path that is being written has to end */
    u64 dentry, mount; /* or a control group's node */
    u64 variable, environment_end;
    u32 is_complete, is_inside;
};
struct {
    MAP_INTEGER(type, MAP_PERCPU_ARRAY);
    MAP_INTEGER(max_entries, 1);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct exec_scratch);
} exec_scratch SEC(".maps");

INLINE struct exec_scratch *scratch_of_this_processor(void) {
    u32 zero = 0;
    return bpf_map_lookup_elem(&exec_scratch, &zero);
}

/* One number, the same for exactly those processes that share their control groups in every hierarchy: the serial
 * numbers in it are never given out twice. */
INLINE u64 control_groups(struct task_struct *task) {
    struct css_set *set = task->cgroups;
    u64 number = set->dfl_cgrp->kn->id;
    u32 count = FIELD_SIZE(set->subsys) / sizeof(void *);
#define MIX(index) \
    if (count > index) \
        number = (number ^ set->subsys[index]->serial_nr) * 0x9e3779b97f4a7c15ull;
    MIX(0) MIX(1) MIX(2) MIX(3) MIX(4) MIX(5) MIX(6) MIX(7)
    MIX(8) MIX(9) MIX(10) MIX(11) MIX(12) MIX(13) MIX(14) MIX(15)
#undef MIX
    return number;
}

/* Copies a text of the kernel behind the others, with its NUL. */
INLINE void append(struct exec_scratch *scratch, const void *text, u32 room) {
    u32 at = scratch->at;
    if (at >= TEXT_LIMIT)
        return;
    long length = bpf_probe_read_kernel_str(&scratch->texts[at], room, text);
    if (length > 0)
        scratch->at = at + length;
}

/* One step on the way from a file up to the root of its mount namespace. */
static long walk_up(u32 UNUSED round, void UNUSED *context) {
    struct exec_scratch *scratch = scratch_of_this_processor();
    if (!scratch)
        return 1;
    struct dentry *dentry = (void *)scratch->dentry, *root, *parent;
    struct mount *mount = (void *)scratch->mount, *above;
    READ(root, mount->mnt.mnt_root);
    if (dentry == root) {
        READ(above, mount->mnt_parent);
        if (!above || above == mount) {
            scratch->is_complete = 1;
            return 1;
        }
        READ(dentry, mount->mnt_mountpoint);
        scratch->dentry = (u64)dentry;
        scratch->mount = (u64)above;
        return 0;
    }
    const unsigned char *name;
    READ(parent, dentry->d_parent);
    READ(name, dentry->d_name.name);
    if (!parent || scratch->at > scratch->limit)
        return 1;
    append(scratch, name, NAME_ROOM);
    scratch->dentry = (u64)parent;
    scratch->is_complete = parent == dentry;
    return scratch->is_complete;
}

INLINE u16 append_path(struct exec_scratch *scratch, const struct path *path, u32 cut) {
    u32 begin = scratch->at;
    scratch->limit = begin + PATH_ROOM - NAME_ROOM;
    scratch->dentry = (u64)path->dentry;
    scratch->mount = (u64)path->mnt - FIELD_OFFSET(((struct mount *)0)->mnt);
    scratch->is_complete = 0;
    bpf_loop(MOST_COMPONENTS, walk_up, 0, 0);
    if (!scratch->is_complete)
        scratch->record.flags |= cut;
    return scratch->at - begin;
}

/* One step on the way from a control group up to the root of its hierarchy. */
static long walk_up_groups(u32 UNUSED round, void UNUSED *context) {
    struct exec_scratch *scratch = scratch_of_this_processor();
    if (!scratch)
        return 1;
    struct kernfs_node *node = (void *)scratch->dentry, *parent;
    const char *name;
    if (EXISTS(node->__parent))
        READ(parent, node->__parent);
    else
        READ(parent, ((struct kernfs_node___before_6_15 *)node)->parent);
    if (!parent) {
        scratch->is_complete = 1;
        return 1;
    }
    READ(name, node->name);
    if (scratch->at > scratch->limit)
        return 1;
    append(scratch, name, NAME_ROOM);
    scratch->dentry = (u64)parent;
    return 0;
}

/* The path of the process's control group in the unified hierarchy. */
INLINE u16 append_group(struct exec_scratch *scratch, struct task_struct *task) {
    u32 begin = scratch->at;
    scratch->limit = begin + GROUP_ROOM - NAME_ROOM;
    scratch->dentry = (u64)task->cgroups->dfl_cgrp->kn;
    scratch->is_complete = 0;
    bpf_loop(MOST_COMPONENTS, walk_up_groups, 0, 0);
    if (!scratch->is_complete)
        scratch->record.flags |= GROUP_IS_CUT;
    return scratch->at - begin;
}

/* The file that runs: enough to know its content again later, whatever stands at its path by then. */
INLINE void note_file(struct exec_record *record, struct file *file) {
    struct inode *inode = file->f_inode;
    struct dentry *dentry = file->f_path.dentry;
    record->inode = inode->i_ino;
    record->device = inode->i_sb->s_dev;
    record->size = inode->i_size;
    if (EXISTS(inode->i_ctime_sec)) {
        record->modified = inode->i_mtime_sec;
        record->modified_nanoseconds = inode->i_mtime_nsec;
        record->changed = inode->i_ctime_sec;
        record->changed_nanoseconds = inode->i_ctime_nsec;
    } else {
        struct inode___before_6_11 *before_6_11 = (void *)inode;
        struct inode___before_6_7 *before_6_7 = (void *)inode;
        struct inode___before_6_6 *before_6_6 = (void *)inode;
        if (EXISTS(before_6_11->__i_mtime)) {
            record->modified = before_6_11->__i_mtime.tv_sec;
            record->modified_nanoseconds = before_6_11->__i_mtime.tv_nsec;
        } else {
            record->modified = before_6_7->i_mtime.tv_sec;
            record->modified_nanoseconds = before_6_7->i_mtime.tv_nsec;
        }
        if (EXISTS(before_6_11->__i_ctime)) {
            record->changed = before_6_11->__i_ctime.tv_sec;
            record->changed_nanoseconds = before_6_11->__i_ctime.tv_nsec;
        } else {
            record->changed = before_6_6->i_ctime.tv_sec;
            record->changed_nanoseconds = before_6_6->i_ctime.tv_nsec;
        }
    }
    if (!inode->i_nlink)
        record->flags |= FILE_HAS_NO_LINK;
    if (!dentry->d_hash.pprev)
        record->flags |= FILE_IS_UNHASHED;
    if (dentry->d_parent == dentry && dentry != file->f_path.mnt->mnt_root)
        record->flags |= FILE_IS_NAMELESS;
}

/* Is this descriptor a socket of the internet families? There are never fewer than 64 places for descriptors. */
INLINE int is_network_socket(struct file **files, u32 number) {
    struct file *file = 0;
    struct inode *inode;
    struct socket *socket;
    struct sock *sk;
    u16 mode, family;
    if (bpf_probe_read_kernel(&file, sizeof(file), files + number) || !file)
        return 0;
    READ(inode, file->f_inode);
    READ(mode, inode->i_mode);
    if ((mode & S_IFMT) != S_IFSOCK)
        return 0;
    READ(socket, file->private_data);
    READ(sk, socket->sk);
    READ(family, sk->__sk_common.skc_family);
    return family == AF_INET || family == AF_INET6;
}

INLINE int is_preload(const u8 *variable) {
    return variable[0] == 'L' && variable[1] == 'D' && variable[2] == '_' && variable[3] == 'P' &&
           variable[4] == 'R' && variable[5] == 'E' && variable[6] == 'L' && variable[7] == 'O' &&
           variable[8] == 'A' && variable[9] == 'D' && variable[10] == '=';
}

/* One variable of an environment: it is written behind the texts, and stays there if it is LD_PRELOAD. */
static long look_at_variable(u32 UNUSED round, void UNUSED *context) {
    struct exec_scratch *scratch = scratch_of_this_processor();
    if (!scratch)
        return 1;
    if (scratch->variable >= scratch->environment_end) {
        scratch->is_complete = 1;
        return 1;
    }
    u32 at = scratch->at;
    if (at >= TEXT_LIMIT)
        return 1;
    u8 *variable = &scratch->texts[at];
    long length = bpf_probe_read_user_str(variable, PRELOAD_ROOM, (void *)scratch->variable);
    if (length <= 0)
        return 1;
    if (!scratch->is_inside && is_preload(variable)) {
        scratch->is_complete = 1;
        scratch->at = at + length;
        return 1;
    }
    /* A longer one is passed over in pieces. */
    scratch->is_inside = length == PRELOAD_ROOM;
    scratch->variable += scratch->is_inside ? length - 1 : length;
    return 0;
}

INLINE u16 append_preload(struct exec_scratch *scratch, struct mm_struct *memory) {
    u32 begin = scratch->at;
    scratch->variable = memory->env_start;
    scratch->environment_end = memory->env_end;
    scratch->is_inside = 0;
    scratch->is_complete = 0;
    bpf_loop(MOST_VARIABLES, look_at_variable, 0, 0);
    if (!scratch->is_complete)
        scratch->record.flags |= ENVIRONMENT_IS_UNREAD;
    return scratch->at - begin;
}

INLINE u16 append_arguments(struct exec_scratch *scratch, struct mm_struct *memory) {
    u64 begin = memory->arg_start, length = memory->arg_end - begin;
    u32 at = scratch->at;
    if (length > ARGUMENTS_ROOM) {
        length = ARGUMENTS_ROOM;
        scratch->record.flags |= ARGUMENTS_ARE_CUT;
    }
    if (at >= TEXT_LIMIT || bpf_probe_read_user(&scratch->texts[at], length, (void *)begin)) {
        scratch->record.flags |= ARGUMENTS_ARE_UNREAD;
        return 0;
    }
    scratch->at = at + length;
    return length;
}

SEC("tp_btf/sched_process_exec")
int on_exec(u64 *context) {
    struct task_struct *task = (void *)context[0], *parent = task->real_parent;
    struct linux_binprm *binary = (void *)context[2];
    struct mm_struct *memory = task->mm;
    u32 id = process_id(task);
    if (!id)
        return 0;
    struct exec_scratch *scratch = scratch_of_this_processor();
    if (!scratch)
        return 0;
    struct exec_record *record = &scratch->record;
    record->kind = KIND_EXEC;
    record->pid = id;
    record->time = bpf_ktime_get_boot_ns();
    record->start = task->group_leader->start_boottime;
    record->parent = process_id(parent);
    record->parent_start = parent->group_leader->start_boottime;
    record->groups = control_groups(task);
    record->user = task->cred->uid.val;
    record->network = task->nsproxy->net_ns->ns.inum;
    record->mounts = task->nsproxy->mnt_ns->ns.inum;
    record->flags = binary->interp != binary->filename ? HAS_INTERPRETER : 0;
    record->unused = 0;
    __builtin_memcpy(record->name, task->comm, sizeof(record->name));
    struct file *file = memory->exe_file;
    note_file(record, file);
    struct file **files = task->files->fdt->fd;
    if (is_network_socket(files, 0) || is_network_socket(files, 1) || is_network_socket(files, 2))
        record->flags |= HAS_STANDARD_SOCKET;

    scratch->at = 0;
    record->executable = append_path(scratch, &file->f_path, PATH_IS_CUT);
    record->folder = append_path(scratch, &task->fs->pwd, FOLDER_IS_CUT);
    u32 begin = scratch->at;
    append(scratch, binary->filename, FILENAME_ROOM);
    record->filename = scratch->at - begin;
    record->group = append_group(scratch, task);
    record->preload = append_preload(scratch, memory);
    record->arguments = append_arguments(scratch, memory);
    u64 size = sizeof(*record) + scratch->at;
    if (size <= sizeof(*record) + TEXT_ROOM)
        ring_output(KIND_EXEC, scratch, size);
    return 0;
}

SEC("tp_btf/sched_process_fork")
int on_fork(u64 *context) {
    struct task_struct *child = (void *)context[1];
    if (child->pid != child->tgid)
        return 0;
    u32 id = process_id(child);
    if (!id)
        return 0;
    struct fork_record *record = ring_reserve(KIND_FORK, sizeof(*record));
    if (!record)
        return 0;
    struct task_struct *parent = child->real_parent;
    record->pid = id;
    record->time = bpf_ktime_get_boot_ns();
    record->start = child->start_boottime;
    record->parent = process_id(parent);
    record->parent_start = parent->group_leader->start_boottime;
    record->groups = control_groups(child);
    record->user = child->cred->uid.val;
    record->network = child->nsproxy->net_ns->ns.inum;
    record->is_kernel_thread = (child->flags & PF_KTHREAD) != 0;
    __builtin_memcpy(record->name, child->comm, sizeof(record->name));
    ring_submit(record);
    return 0;
}

/* A process ends with its last thread. Two that end at the same moment may both tell it. */
SEC("tp_btf/sched_process_exit")
int on_exit(u64 *context) {
    struct task_struct *task = (void *)context[0];
    struct signal_struct *signal = task->signal;
    if (signal->live.counter)
        return 0;
    u32 id = process_id(task);
    if (!id)
        return 0;
    struct exit_record *record = ring_reserve(KIND_EXIT, sizeof(*record));
    if (!record)
        return 0;
    record->pid = id;
    record->time = bpf_ktime_get_boot_ns();
    record->start = task->group_leader->start_boottime;
    record->status = signal->flags & SIGNAL_GROUP_EXIT ? signal->group_exit_code : task->group_leader->exit_code;
    record->unused = 0;
    ring_submit(record);
    return 0;
}
