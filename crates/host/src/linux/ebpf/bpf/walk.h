/* The walker: run by user space a few times a second, it tells what lives and has changed, and ends what fell silent.
 *
 * A quick walk reads only what the programs keep, a thorough one every socket as well: so it finds what no process did,
 * and costs three times as much.
 *
 * It tells nothing while the ring is more than half full: then what happens is more important than what lasts, and
 * whatever is not told now is told next time. A round, which user space counts up after a loss, tells everything once
 * more, in a ring of its own, so that what nobody told the end of can be known by its absence. */
#pragma once
#include "packets.h"

/* A younger entry may be in the making. */
#define YOUNG 1000000000ull
/* A bit of the kernel's socket flags: nobody holds it any more. */
#define IS_DEAD (1 << 0)

/* What the walker is asked, and what it found; one at a time. */
struct walk {
    u32 round;
    u32 was_stopped;
    u64 silence, silence_answered; /* after so many nanoseconds a conversation has ended */
    u64 now, behind; /* since boot, and by how much the monotonic clock is behind that */
    u32 streams, sockets, peers;
    u8 is_listing, is_quick;
};
struct {
    MAP_INTEGER(type, MAP_ARRAY);
    MAP_INTEGER(max_entries, 1);
    MAP_TYPE(key, u32);
    MAP_TYPE(value, struct walk);
} walks SEC(".maps");

INLINE u64 cookie_of(struct sock *sk) {
    u64 cookie;
    READ(cookie, sk->__sk_common.skc_cookie.counter);
    return cookie;
}

/* A record to be filled, or null where the walk has to stop. */
INLINE struct record *walk_reserve(struct walk *walk, u32 kind) {
    struct record *record = 0;
    if (walk->is_listing)
        record = bpf_ringbuf_reserve(&list, sizeof(*record), 0);
    else if (!ring_is_half_full())
        record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
    if (record)
        record->kind = kind;
    else
        walk->was_stopped = 1;
    return record;
}

/* The order in the ring is that of reserving. The end of a conversation first takes it from its table and then
 * reserves; here it is the other way round: so nothing is told to live behind its own end. */
static long walk_stream(void *map, u64 *key, struct stream *stream, struct walk *walk) {
    struct sock *sk = (struct sock *)*key;
    struct tcp_sock *tcp = (struct tcp_sock *)*key;
    u64 sent, received, cookie = stream->cookie;
    u8 state;
    walk->streams += 1;
    if (walk->is_quick && !stream->is_dirty && stream->told_state && stream->told_round == walk->round)
        return 0;
    stream->is_dirty = 0;
    READ(state, sk->__sk_common.skc_state);
    if (state == STATE_CLOSE || cookie_of(sk) != cookie) {
        /* It ended while it was being found. */
        if (walk->now - stream->started > YOUNG && stream->cookie == cookie)
            bpf_map_delete_elem(map, key);
        return 0;
    }
    READ(sent, tcp->bytes_sent);
    READ(received, tcp->bytes_received);
    if (stream->told_sent == sent && stream->told_received == received && stream->told_state == state &&
        stream->told_owner == stream->users.now && stream->told_round == walk->round)
        return 0;
    struct record *record = walk_reserve(walk, stream->is_listener ? KIND_LISTEN : KIND_ALIVE);
    if (!record) {
        stream->is_dirty = 1; /* the next walk must not pass it over */
        return 1;
    }
    record->cookie = cookie;
    record->state = state;
    fill_entry(record, stream, walk->now);
    fill_stream(record, sk, tcp, 1);
    stream->told_sent = sent;
    stream->told_received = received;
    stream->told_state = state;
    stream->told_owner = stream->users.now;
    stream->told_round = walk->round;
    if (bpf_map_lookup_elem(map, key) != stream || stream->cookie != cookie || cookie_of(sk) != cookie)
        bpf_ringbuf_discard(record, RING_NO_WAKEUP);
    else
        ring_submit(record);
    return 0;
}

/* Ends, or tells, one conversation. 1 when the ring has no room. */
INLINE int walk_talk(struct walk *walk, struct talk *talk, const struct facts *facts, const struct users *users,
                     u32 flags, const int is_over) {
    if (talk->stage != IS_READY)
        return 0;
    u64 last = talk->last + walk->behind;
    int is_answered = talk->sent_packets && talk->received_packets;
    int is_silent = (s64)(walk->now - last) > (s64)(is_answered ? walk->silence_answered : walk->silence);
    if (is_over || is_silent) {
        /* It does not get lost by waiting: the next walk finds it as it is. */
        if (ring_is_half_full()) {
            walk->was_stopped = 1;
            return 1;
        }
        if (__sync_val_compare_and_swap(&talk->stage, IS_READY, IS_BEGUN) != IS_READY)
            return 0;
        u64 end = last > talk->started ? last : talk->started; /* the clock of `last` is behind by some milliseconds */
        tell_talk(KIND_CLOSED, facts, users, talk, flags | (is_over ? 0 : IS_SILENT), end);
        __sync_lock_test_and_set(&talk->stage, IS_FREE);
        return 0;
    }
    u64 packets = talk->sent_packets + talk->received_packets;
    owner_t owner = talk->owner ? talk->owner : users ? users->now : 0;
    if (talk->told_packets == packets && talk->told_owner == owner && talk->told_round == walk->round)
        return 0;
    struct record *record = walk_reserve(walk, KIND_ALIVE);
    if (!record)
        return 1;
    u64 started = talk->started;
    fill_talk(record, facts, users, talk, flags, walk->now);
    talk->told_packets = packets;
    talk->told_owner = owner;
    talk->told_round = walk->round;
    if (talk->stage != IS_READY || talk->started != started)
        bpf_ringbuf_discard(record, RING_NO_WAKEUP);
    else
        ring_submit(record);
    return 0;
}

static long walk_socket(void *map, u64 *key, struct datagram_socket *socket, struct walk *walk) {
    struct sock *sk = (struct sock *)*key;
    int is_gone = 0;
    walk->sockets += 1;
    if (!socket->facts.cookie)
        return 0;
    if (!walk->is_quick || socket->is_unreleased) {
        unsigned long flags;
        READ(flags, sk->__sk_common.skc_flags);
        is_gone = cookie_of(sk) != socket->facts.cookie || (flags & IS_DEAD);
    }
    if (!is_gone && !socket->facts.namespace) {
        fill_facts(&socket->facts, sk, 1);
        if (is_of_kernel(sk))
            socket->flags |= IS_KERNELS;
    }
    if (walk_talk(walk, &socket->first, &socket->facts, &socket->users, socket->flags, is_gone))
        return 1;
    if (is_gone) {
        if (socket->bound_port)
            tell_bound(KIND_DEAF, socket, walk->now);
        bpf_map_delete_elem(map, key);
    } else if (socket->bound_port && socket->told_round != walk->round) {
        struct record *record = walk_reserve(walk, KIND_LISTEN);
        if (!record)
            return 1;
        fill_bound(record, socket, walk->now);
        socket->told_round = walk->round;
        ring_submit(record);
    }
    return 0;
}

static long walk_peer(void *map, struct peer_key *key, struct peer *peer, struct walk *walk) {
    u64 sk = key->sk;
    walk->peers += 1;
    struct datagram_socket *socket = bpf_map_lookup_elem(&sockets, &sk);
    if (socket && !peer->facts.cookie)
        peer->facts = socket->facts;
    if (socket && socket->facts.cookie != peer->facts.cookie)
        socket = 0;
    u32 flags = socket ? socket->flags : 0;
    struct users *users = socket ? &socket->users : &peer->users;
    if (walk_talk(walk, &peer->talk, &peer->facts, users, flags, !socket))
        return 1;
    if (peer->talk.stage == IS_FREE && peer->talk.started)
        bpf_map_delete_elem(map, key);
    return 0;
}

/* Not attached to anything: user space runs it. Returns 1 when it had to stop before the end. */
SEC("raw_tp")
int walk(u64 *context) {
    struct walk walk = {.round = context[0], .silence = context[1], .silence_answered = context[2],
        .is_listing = context[3],
        .is_quick = context[4]};
    u32 key = 0;
    walk.now = bpf_ktime_get_boot_ns();
    walk.behind = walk.now - bpf_ktime_get_ns();
    bpf_for_each_map_elem(&streams, walk_stream, &walk, 0);
    if (!walk.was_stopped)
        bpf_for_each_map_elem(&sockets, walk_socket, &walk, 0);
    if (!walk.was_stopped)
        bpf_for_each_map_elem(&peers, walk_peer, &walk, 0);
    bpf_map_update_elem(&walks, &key, &walk, UPDATE_ANY);
    return walk.was_stopped;
}
