/*
 * One pass over every descriptor of every process, written to whoever reads the iterator. One program tells each socket
 * that somebody holds, with what a dump of the socket tables tells of it; the other only which descriptors there are.
 *
 * A dump and a walk through /proc take five microseconds a socket, most of it to find the process. This takes a
 * quarter of a microsecond, and there is no moment in between in which one list no longer fits the other.
 */
#include "../../ebpf/bpf/kernel.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

enum { INET = 2, INET6 = 10 };
enum { STREAM = 1, DATAGRAM = 2, RAW = 3 };
enum { TCP = 6, UDP = 17 };
enum { CLOSE = 7, LISTEN = 10 };
/* Other descriptors may name the socket as well. */
enum { MAY_BE_SHARED = 1 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct inode {
    unsigned long i_ino;
};
struct file___inode {
    struct inode *f_inode;
};
typedef struct {
    int counter;
} atomic_t;
struct request_sock_queue {
    atomic_t qlen;
};
struct inet_connection_sock___queue {
    struct request_sock_queue icsk_accept_queue;
};
/* How many refer to a file: since Linux 6.13 one less than before. */
struct file_ref {
    atomic64_t refcnt;
};
struct file___new {
    struct file_ref f_ref;
};
struct file___old {
    atomic64_t f_count;
};
#pragma clang attribute pop

/* What user space reads; `iterate/record.rs` has the same. Addresses and remote port in the order of the network. */
struct held {
    u64 cookie, cgroup;
    u64 start; /* of the process, in nanoseconds since boot */
    u32 pid, inode, namespace, user;
    u8 family, kind, state, flags;
    u16 protocol, unused;
    u16 local_port, remote_port;
    u32 local[4], remote[4];
    u32 half_open; /* of a listener: connections on their way in */
    u64 sent, received;
    u32 sent_packets, received_packets, round_trip, retransmits;
};

INLINE int is_alone(struct file *file)
{
    struct file___new *new = (void *)file;
    struct file___old *old = (void *)file;
    /* The iterator itself refers to the file, too. */
    if (EXISTS(new->f_ref))
        return new->f_ref.refcnt.counter <= 1;
    return old->f_count.counter <= 2;
}

/* The id by which whoever reads this knows a process: that of the reader's namespace. */
INLINE u32 id_of(struct task_struct *task)
{
    struct task_struct *reader = bpf_get_current_task_btf();
    u32 level = reader->thread_pid->level;
    u32 id = task->tgid;
    if (level > 0) {
        struct upid *first = task->group_leader->thread_pid->numbers;
        bpf_probe_read_kernel(&id, sizeof(id), (void *)first + (u64)level * sizeof(*first));
    }
    return id;
}

/* Is it one that a dump of the tables names? They leave out what has no port yet. */
INLINE int is_listed(u32 kind, u32 protocol, u32 state, u32 port)
{
    if (kind == STREAM && protocol == TCP)
        return state != CLOSE || port;
    return (kind == DATAGRAM && protocol == UDP && port) || kind == RAW;
}

SEC("iter/task_file") int held_sockets(struct bpf_iter__task_file *context)
{
    struct task_struct *task = context->task;
    struct file *file = context->file;
    if (!task || !file)
        return 0;
    struct socket *socket = bpf_sock_from_file(file);
    if (!socket)
        return 0;
    struct sock *sock = socket->sk;
    if (!sock)
        return 0;
    u16 family = sock->__sk_common.skc_family;
    if (family != INET && family != INET6)
        return 0;
    struct held held = {
        .kind = sock->sk_type,
        .protocol = sock->sk_protocol,
        .state = sock->__sk_common.skc_state,
        .local_port = sock->__sk_common.skc_num,
    };
    if (!is_listed(held.kind, held.protocol, held.state, held.local_port))
        return 0;
    held.family = family;
    held.flags = is_alone(file) ? 0 : MAY_BE_SHARED;
    held.remote_port = sock->__sk_common.skc_dport;
    held.cookie = bpf_get_socket_cookie(sock);
    held.pid = id_of(task);
    held.start = task->group_leader->start_boottime;
    held.inode = ((struct file___inode *)file)->f_inode->i_ino;
    held.namespace = sock->__sk_common.skc_net.net->ns.inum;
    held.user = sock->sk_uid.val;
    struct cgroup *cgroup = sock->sk_cgrp_data.cgroup;
    if (cgroup)
        held.cgroup = cgroup->kn->id;
    if (family == INET) {
        held.local[0] = sock->__sk_common.skc_rcv_saddr;
        held.remote[0] = sock->__sk_common.skc_daddr;
    } else {
        for (int i = 0; i < 4; i++) {
            held.local[i] = sock->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[i];
            held.remote[i] = sock->__sk_common.skc_v6_daddr.in6_u.u6_addr32[i];
        }
    }
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sock);
    if (tcp) {
        if (held.state == LISTEN)
            held.half_open = ((struct inet_connection_sock___queue *)tcp)->icsk_accept_queue.qlen.counter;
        held.sent = tcp->bytes_sent - tcp->bytes_retrans;
        held.received = tcp->bytes_received;
        held.sent_packets = tcp->segs_out;
        held.received_packets = tcp->segs_in;
        held.round_trip = tcp->srtt_us >> 3;
        held.retransmits = tcp->total_retrans;
    }
    bpf_seq_write(context->meta->seq, &held, sizeof(held));
    return 0;
}

/* What user space reads of each descriptor. */
struct descriptor {
    u32 pid, number;
    u32 inode; /* of a socket of any family, else zero */
};

SEC("iter/task_file") int descriptors(struct bpf_iter__task_file *context)
{
    struct task_struct *task = context->task;
    struct file *file = context->file;
    if (!task || !file)
        return 0;
    struct descriptor descriptor = { .number = context->fd };
    descriptor.pid = id_of(task);
    if (bpf_sock_from_file(file))
        descriptor.inode = ((struct file___inode *)file)->f_inode->i_ino;
    bpf_seq_write(context->meta->seq, &descriptor, sizeof(descriptor));
    return 0;
}
