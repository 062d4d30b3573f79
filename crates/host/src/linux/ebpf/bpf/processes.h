/*
 * Processes: what was forked, became a program, and ended.
 *
 * A record of an exec says all that a process of one millisecond can be asked about, because nobody can ask it later:
 * its file (by path and by inode), arguments, folder, control group, LD_PRELOAD, and whether its standard input or
 * output is a network socket. An exec takes about half a millisecond; this adds a few microseconds.
 *
 * Texts follow the fixed part of a record, each of the length that it says. A path is written from its end to its root,
 * one name after the other, each followed by a NUL, because that is the way the kernel's tree is walked.
 */
#ifndef PROCESSES_H
#define PROCESSES_H

#include "kernel.h"
#include "ring.h"

/* Bounds; at each of them a flag says that something is missing. */
#define MOST_COMPONENTS 48
#define NAME_ROOM 256
#define PATH_ROOM 2048
#define FILENAME_ROOM 1024
#define GROUP_ROOM 1024
#define ARGUMENTS_ROOM 8192
#define PRELOAD_ROOM 512
#define MOST_VARIABLES 4096
#define MOST_SUBSYSTEMS 16
/* A text may begin below this, and has room for the longest one. */
#define TEXT_LIMIT 8192
#define TEXT_ROOM (TEXT_LIMIT + ARGUMENTS_ROOM)

enum {
	KIND_FORK = 16,
	KIND_EXEC = 17,
	KIND_EXIT = 18,
};

/* Flags of an exec. */
enum {
	FILE_HAS_NO_LINK = 1 << 0,
	FILE_IS_UNHASHED = 1 << 1,
	FILE_IS_NAMELESS = 1 << 2, /* in no folder: a memory file */
	HAS_INTERPRETER = 1 << 3,
	PATH_IS_CUT = 1 << 4,
	FOLDER_IS_CUT = 1 << 5,
	ARGUMENTS_ARE_CUT = 1 << 6,
	ARGUMENTS_ARE_UNREAD = 1 << 7,
	ENVIRONMENT_IS_UNREAD = 1 << 8,
	HAS_PRELOAD = 1 << 9,
	HAS_STANDARD_SOCKET = 1 << 10,
	FILENAME_IS_CUT = 1 << 11,
	GROUP_IS_CUT = 1 << 12,
};

/* Flags of a fork. */
enum {
	IS_KERNEL_THREAD = 1 << 0,
};

struct fork_record {
	struct record_head head;
	u64 start; /* nanoseconds since boot, as everywhere */
	u64 parent_start;
	u64 groups; /* one number for all control groups of the process */
	u32 pid;
	u32 parent;
	u32 user;
	u32 network;
	u32 flags;
	u32 unused;
	char name[16];
};

struct exec_record {
	struct record_head head;
	u64 start;
	u64 parent_start;
	u64 groups;
	u64 inode;
	u64 size;
	s64 modified;
	s64 changed;
	u32 modified_nanoseconds;
	u32 changed_nanoseconds;
	u32 device;
	u32 pid;
	u32 parent;
	u32 user;
	u32 network;
	u32 mounts;
	u32 flags;
	/* Lengths of the texts, in this order. */
	u16 executable;
	u16 folder;
	u16 filename;
	u16 group;
	u16 preload;
	u16 arguments;
	char name[16];
};

struct exit_record {
	struct record_head head;
	u64 start;
	u32 pid;
	u32 status; /* as wait() gives it */
};

struct exec_scratch {
	struct exec_record record;
	u8 texts[TEXT_ROOM];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct exec_scratch);
} exec_scratch SEC(".maps");

/*
 * One number that is the same exactly for processes that are in the same control groups of every hierarchy. Serial
 * numbers of control groups are never given twice.
 */
static __always_inline u64 control_groups(struct task_struct *task)
{
	struct css_set *set = task->cgroups;
	u64 number = set->dfl_cgrp->kn->id;
	u32 count = bpf_core_field_size(struct css_set, subsys) / sizeof(void *);

#define MIX_SUBSYSTEM(i)                                                                                               \
	if (count > i)                                                                                                 \
		number = (number ^ set->subsys[i]->serial_nr) * 0x9e3779b97f4a7c15ull;
	MIX_SUBSYSTEM(0)
	MIX_SUBSYSTEM(1)
	MIX_SUBSYSTEM(2)
	MIX_SUBSYSTEM(3)
	MIX_SUBSYSTEM(4)
	MIX_SUBSYSTEM(5)
	MIX_SUBSYSTEM(6)
	MIX_SUBSYSTEM(7)
	MIX_SUBSYSTEM(8)
	MIX_SUBSYSTEM(9)
	MIX_SUBSYSTEM(10)
	MIX_SUBSYSTEM(11)
	MIX_SUBSYSTEM(12)
	MIX_SUBSYSTEM(13)
	MIX_SUBSYSTEM(14)
	MIX_SUBSYSTEM(15)
#undef MIX_SUBSYSTEM
	return number;
}

/* Copies a kernel's text behind the others; returns where the next one begins. */
static __always_inline u32 append_name(struct exec_scratch *scratch, u32 at, const void *name, u32 room)
{
	long length;

	if (at >= TEXT_LIMIT)
		return at;
	length = bpf_probe_read_kernel_str(&scratch->texts[at], room, name);
	return length > 0 && length <= room ? at + (u32)length : at;
}

/* Writes the path of a file, from its name up to the root of its mount namespace; returns where it ends. */
static __always_inline u32 append_path(struct exec_scratch *scratch, u32 at, struct dentry *dentry,
				       struct vfsmount *vfsmount, u32 cut)
{
	u32 begin = at;
	u64 mount = (u64)vfsmount - bpf_core_field_offset(struct mount, mnt);

	for (int i = 0; i < MOST_COMPONENTS; i++) {
		struct dentry *root = NULL, *parent = NULL;
		const unsigned char *name = NULL;

		bpf_core_read(&root, sizeof(root), &((struct mount *)mount)->mnt.mnt_root);
		if (dentry == root) {
			struct mount *above = NULL;

			bpf_core_read(&above, sizeof(above), &((struct mount *)mount)->mnt_parent);
			if (!above || (u64)above == mount)
				return at;
			bpf_core_read(&dentry, sizeof(dentry), &((struct mount *)mount)->mnt_mountpoint);
			mount = (u64)above;
			continue;
		}
		if (at - begin >= PATH_ROOM - NAME_ROOM)
			break;
		bpf_core_read(&parent, sizeof(parent), &dentry->d_parent);
		bpf_core_read(&name, sizeof(name), &dentry->d_name.name);
		at = append_name(scratch, at, name, NAME_ROOM);
		if (!parent)
			break;
		if (parent == dentry)
			return at; /* in no folder */
		dentry = parent;
	}
	scratch->record.flags |= cut;
	return at;
}

/* Writes the path of a process's control group in the unified hierarchy; returns where it ends. */
static __always_inline u32 append_group(struct exec_scratch *scratch, u32 at, struct task_struct *task)
{
	u32 begin = at;
	struct kernfs_node *node = task->cgroups->dfl_cgrp->kn;

	for (int i = 0; i < MOST_COMPONENTS; i++) {
		struct kernfs_node *parent = NULL;
		const char *name = NULL;

		if (bpf_core_field_exists(struct kernfs_node, __parent))
			bpf_core_read(&parent, sizeof(parent), &node->__parent);
		else
			bpf_core_read(&parent, sizeof(parent), &((struct kernfs_node___before_6_15 *)node)->parent);
		if (!parent)
			return at;
		if (at - begin >= GROUP_ROOM - NAME_ROOM)
			break;
		bpf_core_read(&name, sizeof(name), &node->name);
		at = append_name(scratch, at, name, NAME_ROOM);
		node = parent;
	}
	scratch->record.flags |= GROUP_IS_CUT;
	return at;
}

/* The file that runs: enough to recognise the same content later, whatever stands at its path then. */
static __always_inline void note_file(struct exec_record *record, struct file *file)
{
	struct inode *inode = file->f_inode;
	struct dentry *dentry = file->f_path.dentry;

	record->inode = inode->i_ino;
	record->device = inode->i_sb->s_dev;
	record->size = inode->i_size;
	if (bpf_core_field_exists(struct inode, i_ctime_sec)) {
		record->modified = inode->i_mtime_sec;
		record->modified_nanoseconds = inode->i_mtime_nsec;
		record->changed = inode->i_ctime_sec;
		record->changed_nanoseconds = inode->i_ctime_nsec;
	} else {
		struct inode___before_6_11 *before_6_11 = (void *)inode;
		struct inode___before_6_7 *before_6_7 = (void *)inode;
		struct inode___before_6_6 *before_6_6 = (void *)inode;

		if (bpf_core_field_exists(struct inode___before_6_11, __i_mtime)) {
			record->modified = before_6_11->__i_mtime.tv_sec;
			record->modified_nanoseconds = before_6_11->__i_mtime.tv_nsec;
		} else {
			record->modified = before_6_7->i_mtime.tv_sec;
			record->modified_nanoseconds = before_6_7->i_mtime.tv_nsec;
		}
		if (bpf_core_field_exists(struct inode___before_6_11, __i_ctime)) {
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

/* Is descriptor `number` a socket of the internet families? */
static __always_inline bool is_network_socket(struct task_struct *task, u32 number)
{
	struct file *file = NULL, **files = task->files->fdt->fd;
	u16 mode = 0, family = 0;
	struct inode *inode = NULL;
	struct socket *socket = NULL;
	struct sock *sk = NULL;

	bpf_probe_read_kernel(&file, sizeof(file), files + number);
	if (!file)
		return false;
	bpf_core_read(&inode, sizeof(inode), &file->f_inode);
	bpf_core_read(&mode, sizeof(mode), &inode->i_mode);
	if ((mode & S_IFMT) != S_IFSOCK)
		return false;
	bpf_core_read(&socket, sizeof(socket), &file->private_data);
	bpf_core_read(&sk, sizeof(sk), &socket->sk);
	bpf_core_read(&family, sizeof(family), &sk->__sk_common.skc_family);
	return family == AF_INET || family == AF_INET6;
}

/* The walk over the variables of an environment. */
struct environment {
	u64 at;
	u64 end;
	u32 text; /* where the value goes */
	u32 length; /* of the value, with its NUL */
	u32 flags;
	u32 inside; /* the last piece did not reach the end of its variable */
};

static long look_at_variable(u32 index, struct environment *environment)
{
	static const char wanted[] = "LD_PRELOAD=";
	u32 zero = 0, text = environment->text;
	struct exec_scratch *scratch = bpf_map_lookup_elem(&exec_scratch, &zero);
	long length;
	u64 *words;

	if (!scratch || text >= TEXT_LIMIT || environment->at >= environment->end) {
		environment->flags &= ~ENVIRONMENT_IS_UNREAD;
		return 1;
	}
	length = bpf_probe_read_user_str(&scratch->texts[text], PRELOAD_ROOM, (void *)environment->at);
	if (length <= 0)
		return 1;
	words = (u64 *)&scratch->texts[text];
	if (!environment->inside && length >= (long)sizeof(wanted) &&
	    !__builtin_memcmp(&scratch->texts[text], wanted, sizeof(wanted) - 1)) {
		environment->length = length;
		environment->flags &= ~ENVIRONMENT_IS_UNREAD;
		environment->flags |= HAS_PRELOAD;
		return 1;
	}
	environment->inside = length == PRELOAD_ROOM;
	environment->at += environment->inside ? length - 1 : length;
	return 0;
}
