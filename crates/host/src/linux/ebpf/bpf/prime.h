/* What exists already when the programs are loaded: every socket that a process holds, of all network namespaces.
 *
 * It runs once, after everything else is attached, and adds only what is not there yet: so nothing is missed and
 * nothing is counted twice. */
#pragma once
#include "walk.h"

INLINE void prime_stream(struct sock *sk, struct task_struct *task) {
    u64 key = (u64)sk;
    u8 state = sk->__sk_common.skc_state;
    if (state == STATE_CLOSE)
        return;
    struct stream *stream = bpf_map_lookup_elem(&streams, &key);
    if (stream) {
        note_holder(&stream->users, task);
        return;
    }
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    if (!tcp)
        return;
    struct stream found = {};
    found.cookie = bpf_get_socket_cookie(sk);
    found.started = bpf_ktime_get_boot_ns();
    found.flags = IS_OLD;
    found.is_listener = state == STATE_LISTEN;
    note_holder(&found.users, task);
    /* The first look tells it. */
    found.told_owner = found.users.now;
    found.told_state = state;
    found.told_sent = tcp->bytes_sent;
    found.told_received = tcp->bytes_received;
    keep_stream(sk, &found, UPDATE_NOEXIST);
}

INLINE void prime_socket(struct sock *sk, struct task_struct *task) {
    u64 key = (u64)sk;
    struct datagram_socket *socket = bpf_map_lookup_elem(&sockets, &key);
    if (!socket) {
        socket = keep_socket(key, bpf_get_socket_cookie(sk), sk->sk_protocol);
        if (!socket)
            return;
        fill_facts(&socket->facts, sk, 0);
        struct packet none = {.protocol = sk->sk_protocol, .flags = IS_OLD};
        none.local_port = sk->__sk_common.skc_num;
        none.remote_port = NETWORK16(sk->__sk_common.skc_dport);
        addresses_of(sk, &none.local, &none.remote, 0);
        socket->flags = IS_OLD;
        socket->is_unreleased = sk->__sk_common.skc_family == FAMILY_PACKET;
        if (!is_udp(none.protocol)) {
            /* Conversations of the others begin with a packet. */
        } else if (sk->__sk_common.skc_state != STATE_ESTABLISHED) {
            socket->bound = none.local;
            socket->bound_port = none.local_port;
        } else if (__sync_val_compare_and_swap(&socket->first.stage, IS_FREE, IS_BEGUN) == IS_FREE) {
            talk_begins(&socket->first, &none);
            socket->first.flags = IS_OLD;
            socket->first.last = bpf_ktime_get_ns();
            socket->first.stage = IS_READY;
        }
    }
    note_holder(&socket->users, task);
    socket->first.told_owner = socket->users.now;
}

SEC("iter/task_file")
int prime(struct bpf_iter__task_file *context) {
    struct file *file = context->file;
    struct task_struct *task = context->task;
    if (!file || !task)
        return 0;
    struct socket *socket = bpf_sock_from_file(file);
    if (!socket)
        return 0;
    struct sock *sk = socket->sk;
    if (!sk)
        return 0;
    u16 family = sk->__sk_common.skc_family;
    u16 protocol = sk->sk_protocol;
    if (family == FAMILY_PACKET || ((family == FAMILY_INET || family == FAMILY_INET6) && protocol < 256)) {
        if (family != FAMILY_PACKET && protocol == PROTOCOL_TCP)
            prime_stream(sk, task);
        else
            prime_socket(sk, task);
    }
    return 0;
}
