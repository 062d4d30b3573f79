/* TCP: one entry a socket, from connect, accept or listen to its end.
 *
 * Counters and addresses stay where the kernel keeps them, in the socket; the entry holds what the kernel forgets: who
 * uses it, when it began, and what was told last. The entry is found by the address of the socket. That is three times
 * cheaper than storage attached to the socket. An address is used again, a cookie is not: so both are compared. */
#pragma once
#include "record.h"

enum state {
    STATE_ESTABLISHED = 1,
    STATE_SYN_SENT = 2,
    STATE_SYN_RECEIVED = 3,
    STATE_TIME_WAIT = 6,
    STATE_CLOSE = 7,
    STATE_LISTEN = 10,
    STATE_NEW_SYN_RECEIVED = 12,
};

/* A bit of the kernel's socket flags: a FIN was received. */
#define HAS_FIN (1 << 1)

struct stream {
    u64 cookie, started;
    struct users users;
    /* As told last. */
    owner_t told_owner;
    u64 told_sent, told_received;
    u32 told_round;
    u8 told_state;
    u8 flags;
    u8 is_listener;
    u8 is_dirty; /* it was used since it was told */
};
struct {
    MAP_INTEGER(type, MAP_HASH);
    MAP_INTEGER(max_entries, 1 << 17);
    MAP_TYPE(key, u64);
    MAP_TYPE(value, struct stream);
} streams SEC(".maps");

/* Fills in everything that the socket itself says. */
INLINE void fill_stream(struct record *record, struct sock *sk, struct tcp_sock *tcp, const int is_blind) {
    u64 bytes, again;
    unsigned long flags;
    u32 number;
    u16 port;
    int error;

    GET(is_blind, record->sent_bytes, tcp->bytes_sent);
    GET(is_blind, again, tcp->bytes_retrans);
    record->sent_bytes -= again;
    GET(is_blind, bytes, tcp->bytes_received);
    GET(is_blind, flags, sk->__sk_common.skc_flags);
    record->received_bytes = bytes - (flags & HAS_FIN ? 1 : 0); /* the kernel counts a FIN as a byte */
    GET(is_blind, number, tcp->segs_out);
    record->sent_packets = number;
    GET(is_blind, number, tcp->segs_in);
    record->received_packets = number;
    GET(is_blind, number, tcp->srtt_us);
    record->round_trip = number >> 3; /* eighths of a microsecond */
    GET(is_blind, record->retransmits, tcp->total_retrans);

    record->namespace = namespace_of(sk, is_blind);
    record->group = group_of(sk, is_blind);
    GET(is_blind, record->user, sk->sk_uid.val);
    addresses_of(sk, &record->local, &record->remote, is_blind);
    /* `skc_num` is already 0 when a socket closes. */
    GET(is_blind, port, tcp->inet_conn.icsk_inet.inet_sport);
    record->local_port = __builtin_bswap16(port);
    GET(is_blind, port, sk->__sk_common.skc_dport);
    record->remote_port = __builtin_bswap16(port);
    GET(is_blind, error, sk->sk_err);
    record->error = error;
    record->protocol = PROTOCOL_TCP;
}

/* Fills in what the entry says; `stream` may be null. */
INLINE void fill_entry(struct record *record, const struct stream *stream, u64 now) {
    record->time = now;
    if (!stream) {
        record->flags = IS_OLD;
        record->started = now;
        record->owner = 0;
        record->former = 0;
        return;
    }
    record->flags = stream->flags | flags_of_users(&stream->users);
    record->started = stream->started;
    record->owner = stream->users.now;
    record->former = stream->users.former;
}

INLINE void tell_stream(u32 kind, struct sock *sk, const struct stream *stream, u64 cookie, u8 state, u64 now) {
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    if (!tcp)
        return;
    struct record *record = ring_reserve_for_end(kind, sizeof(*record));
    if (!record)
        return;
    record->cookie = cookie;
    record->state = state;
    fill_entry(record, stream, now);
    fill_stream(record, sk, tcp, 0);
    ring_submit(record);
}

/* Begins an entry, without an owner yet. */
INLINE int keep_stream(struct sock *sk, const struct stream *stream, u64 flags) {
    u64 key = (u64)sk;
    long error = bpf_map_update_elem(&streams, &key, stream, flags);
    if (error == -7 || error == -12) /* E2BIG: full. ENOMEM: no memory for it. */
        lose_entry(TABLE_STREAMS);
    return error == 0;
}

/* Multipath TCP: who uses the first of the sockets that this one belongs to. The kernel opens the others itself. */
INLINE owner_t owner_by_multipath(struct sock *sk) {
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    if (!tcp || !EXISTS(tcp->is_mptcp) || !tcp->is_mptcp)
        return 0;
    struct mptcp_subflow_context *context = tcp->inet_conn.icsk_ulp_data;
    struct mptcp_sock *multipath;
    struct sock *first;
    READ(multipath, context->conn);
    READ(first, multipath->first);
    u64 key = (u64)first;
    struct stream *stream = bpf_map_lookup_elem(&streams, &key);
    return stream ? stream->users.now : 0;
}

INLINE void stream_begins(struct sock *sk, u8 after) {
    struct stream stream = {};
    stream.cookie = bpf_get_socket_cookie(sk);
    stream.started = bpf_ktime_get_boot_ns();
    if (after == STATE_ESTABLISHED) {
        stream.flags = IS_ANSWERER;
        stream.users.now = owner_by_multipath(sk);
    } else if (is_kernel_thread()) {
        stream.users.now = owner_by_multipath(sk);
    }
    if (after != STATE_ESTABLISHED && !stream.users.now)
        note_user(&stream.users); /* connect and listen run in their caller */
    if (after == STATE_LISTEN) {
        stream.is_listener = 1;
        stream.told_owner = stream.users.now;
        stream.told_state = STATE_LISTEN;
        tell_stream(KIND_LISTEN, sk, &stream, stream.cookie, after, stream.started);
    }
    keep_stream(sk, &stream, UPDATE_ANY);
}

/* Takes the entry out first, and tells then: see the walker. */
INLINE void stream_ends(struct sock *sk, u8 before) {
    u64 key = (u64)sk;
    u64 cookie = bpf_get_socket_cookie(sk);
    u64 now = bpf_ktime_get_boot_ns();
    u32 kind = before == STATE_LISTEN ? KIND_DEAF : KIND_CLOSED;
    struct stream *stream = bpf_map_lookup_elem(&streams, &key);
    if (!stream || stream->cookie != cookie) {
        tell_stream(kind, sk, 0, cookie, before, now);
        return;
    }
    struct stream last = *stream;
    bpf_map_delete_elem(&streams, &key);
    if (UNLIKELY(!last.users.now))
        last.users.now = owner_by_multipath(sk);
    tell_stream(kind, sk, &last, cookie, before, now);
}

SEC("tp_btf/inet_sock_set_state")
int stream_state(u64 *context) {
    struct sock *sk = (void *)context[0];
    u8 before = context[1], after = context[2];
    int is_begin = after == STATE_SYN_SENT || after == STATE_LISTEN ||
                   (after == STATE_ESTABLISHED && before == STATE_SYN_RECEIVED);
    int is_end = after == STATE_CLOSE && before != STATE_CLOSE;
    if ((!is_begin && !is_end) || sk->sk_protocol != PROTOCOL_TCP)
        return 0;
    if (is_end) {
        stream_ends(sk, before);
        return 0;
    }
    if (before == STATE_SYN_RECEIVED) {
        /* Two that connect to each other at once: the entry is there since SYN_SENT. */
        u64 key = (u64)sk;
        struct stream *stream = bpf_map_lookup_elem(&streams, &key);
        if (stream && stream->cookie == (u64)sk->__sk_common.skc_cookie.counter)
            return 0;
    }
    stream_begins(sk, after);
    return 0;
}

/* The current process reads or writes. */
INLINE void stream_used(struct sock *sk) {
    u64 key = (u64)sk;
    struct stream *stream = bpf_map_lookup_elem(&streams, &key);
    if (LIKELY(stream)) {
        if (!stream->is_dirty)
            stream->is_dirty = 1;
        if (LIKELY(is_known_user(&stream->users, current_process())))
            return;
        note_user(&stream->users);
        return;
    }
    /* It is older than the watch and was found by nobody: it waited to be accepted, or was on its way to another. */
    u8 state = sk->__sk_common.skc_state;
    if (state == STATE_CLOSE || state == STATE_LISTEN)
        return;
    struct stream found = {};
    found.cookie = bpf_get_socket_cookie(sk);
    found.started = bpf_ktime_get_boot_ns();
    found.flags = IS_OLD;
    note_user(&found.users);
    keep_stream(sk, &found, UPDATE_NOEXIST);
}

/* The same for a socket behind another, which the kernel opened for it. */
INLINE void stream_used_blindly(u64 key) {
    struct stream *stream = bpf_map_lookup_elem(&streams, &key);
    if (!stream)
        return;
    if (!stream->is_dirty)
        stream->is_dirty = 1;
    if (!is_known_user(&stream->users, current_process()))
        note_user(&stream->users);
}

/* An accepted socket is closed by somebody who never read or wrote. */
INLINE void stream_released(u64 key) {
    struct stream *stream = bpf_map_lookup_elem(&streams, &key);
    if (stream && !stream->users.now)
        note_user(&stream->users);
}
