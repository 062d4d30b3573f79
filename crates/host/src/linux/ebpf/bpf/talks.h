/* Conversations without connection: one entry a socket, with its first peer in it; further peers in a table.
 *
 * Nothing is told when one begins: most are a question and an answer, and over before anybody could look. The end of
 * the socket, or silence, ends a conversation; so does the walker, which also tells those that last. */
#pragma once
#include "streams.h"

enum stage { IS_FREE, IS_BEGUN, IS_READY };

/* One conversation with one peer. */
struct talk {
    u64 started;
    u64 last; /* on the kernel's coarse monotonic clock, which costs a fifth of the exact one */
    u64 sent_bytes, received_bytes, sent_packets, received_packets;
    owner_t owner; /* who first sent to this peer */
    struct address local, remote;
    u16 local_port, remote_port;
    u8 protocol;
    u8 flags;
    u16 mark;    /* identifier of echo requests */
    u32 device;  /* of injected frames */
    u32 stage;
    /* As told last. */
    owner_t told_owner;
    u64 told_packets;
    u32 told_round;
};

/* What the socket itself says; learnt where that is cheap. */
struct facts {
    u64 sk; /* its address; read back from here it is a number, with which the verifier lets one calculate */
    u64 cookie, group;
    u32 namespace, user;
};

struct datagram_socket {
    struct facts facts;
    struct users users;
    u32 told_round;
    u16 bound_port; /* it waits for others on this port */
    u8 has_peers;
    u8 is_unreleased; /* nobody tells its end: the walker has to find out */
    u8 flags;
    u8 protocol;
    struct address bound;
    struct talk first;
};
struct {
    MAP_INTEGER(type, MAP_HASH);
    MAP_INTEGER(max_entries, 1 << 16);
    MAP_TYPE(key, u64);
    MAP_TYPE(value, struct datagram_socket);
} sockets SEC(".maps");

struct peer_key {
    u64 sk;
    struct address remote;
    u16 port;
    u8 protocol;
    u8 unused[5];
};
struct peer {
    struct facts facts;
    struct users users; /* the socket's at the beginning: it may be gone before the walker comes */
    struct talk talk;
};
struct {
    MAP_INTEGER(type, MAP_HASH);
    MAP_INTEGER(max_entries, 1 << 16);
    MAP_TYPE(key, struct peer_key);
    MAP_TYPE(value, struct peer);
} peers SEC(".maps");

/* One packet, as far as counting goes. */
struct packet {
    struct address local, remote;
    u16 local_port, remote_port;
    u16 mark;
    u8 protocol;
    u8 is_sent;
    u8 may_begin; /* may it begin a conversation? */
    u8 flags;
    u32 device;
    u32 bytes, packets;
    u64 now; /* as `last` of a conversation */
};

INLINE int is_same(const struct address *a, const struct address *b) {
    return a->word[3] == b->word[3] && a->word[2] == b->word[2] && a->word[1] == b->word[1] && a->word[0] == b->word[0];
}

INLINE int is_with(const struct talk *talk, const struct packet *packet) {
    return talk->stage == IS_READY && talk->remote_port == packet->remote_port && talk->protocol == packet->protocol &&
           is_same(&talk->remote, &packet->remote);
}

INLINE struct sock *socket_of(const struct facts *facts) {
    return (struct sock *)*(const volatile u64 *)&facts->sk;
}

INLINE void fill_facts(struct facts *facts, struct sock *sk, const int is_blind) {
    facts->namespace = namespace_of(sk, is_blind);
    facts->group = group_of(sk, is_blind);
    GET(is_blind, facts->user, sk->sk_uid.val);
}

/* Begins a conversation with its first packet. */
INLINE void talk_begins(struct talk *talk, const struct packet *packet) {
    talk->started = bpf_ktime_get_boot_ns();
    talk->sent_bytes = talk->received_bytes = talk->sent_packets = talk->received_packets = 0;
    talk->owner = talk->told_owner = 0;
    talk->told_packets = 0;
    talk->told_round = 0;
    talk->local = packet->local;
    talk->remote = packet->remote;
    talk->local_port = packet->local_port;
    talk->remote_port = packet->remote_port;
    talk->protocol = packet->protocol;
    talk->flags = packet->flags | (packet->is_sent ? 0 : IS_ANSWERER);
    talk->device = packet->device;
}

INLINE void talk_counts(struct talk *talk, const struct packet *packet) {
    talk->last = packet->now;
    if (packet->is_sent) {
        __sync_fetch_and_add(&talk->sent_bytes, packet->bytes);
        __sync_fetch_and_add(&talk->sent_packets, packet->packets);
        talk->mark = packet->mark;
        if (UNLIKELY(!talk->owner))
            talk->owner = owner_of(bpf_get_current_task_btf());
    } else {
        if (UNLIKELY(!packet->may_begin && talk->mark != packet->mark))
            return; /* an answer to somebody else's echo request */
        __sync_fetch_and_add(&talk->received_bytes, packet->bytes);
        __sync_fetch_and_add(&talk->received_packets, packet->packets);
    }
}

/* Entries begin as these, because they are too large for the stack. */
static const struct datagram_socket no_socket;
static const struct peer no_peer;

INLINE void tell_talk(u32 kind, const struct facts *facts, const struct users *users, const struct talk *talk,
                      u32 flags, u64 now);

/* Ends a conversation of a socket that is gone, whose address another has by now. `now` is as `last`. */
static __attribute__((noinline)) void end_former(struct facts *facts, struct users *users, struct talk *talk, u64 now) {
    if (__sync_val_compare_and_swap(&talk->stage, IS_READY, IS_BEGUN) != IS_READY)
        return;
    u64 end = bpf_ktime_get_boot_ns() - (now - talk->last);
    tell_talk(KIND_CLOSED, facts, users, talk, 0, end > talk->started ? end : talk->started);
    __sync_lock_test_and_set(&talk->stage, IS_FREE);
}

/* A conversation beyond the first of its socket. */
INLINE void peer_counts(u64 key, struct datagram_socket *socket, const struct packet *packet) {
    struct peer_key peer_key = {
        .sk = key, .remote = packet->remote, .port = packet->remote_port, .protocol = packet->protocol};
    struct peer *peer = bpf_map_lookup_elem(&peers, &peer_key);
    if (!peer && packet->may_begin) {
        bpf_map_update_elem(&peers, &peer_key, &no_peer, UPDATE_NOEXIST);
        peer = bpf_map_lookup_elem(&peers, &peer_key);
        if (!peer)
            lose_entry(TABLE_PEERS);
    }
    if (!peer)
        return;
    if (UNLIKELY(peer->facts.cookie != socket->facts.cookie && peer->facts.cookie && socket->facts.cookie))
        end_former(&peer->facts, &peer->users, &peer->talk, packet->now);
    if (__sync_val_compare_and_swap(&peer->talk.stage, IS_FREE, IS_BEGUN) == IS_FREE) {
        if (!socket->facts.namespace)
            fill_facts(&socket->facts, socket_of(&socket->facts), 1);
        peer->facts = socket->facts;
        peer->users = socket->users;
        talk_begins(&peer->talk, packet);
        peer->talk.stage = IS_READY;
    }
    talk_counts(&peer->talk, packet);
}

/* Begins the entry of a socket; null when the table is full. */
INLINE struct datagram_socket *keep_socket(u64 key, u64 cookie, u8 protocol) {
    bpf_map_update_elem(&sockets, &key, &no_socket, UPDATE_NOEXIST);
    struct datagram_socket *socket = bpf_map_lookup_elem(&sockets, &key);
    if (!socket) {
        lose_entry(TABLE_SOCKETS);
        return 0;
    }
    socket->facts.sk = key;
    socket->facts.cookie = cookie;
    socket->protocol = protocol;
    return socket;
}

/* Counts one packet of the socket at `key`. */
INLINE void count(u64 key, struct datagram_socket *socket, const struct packet *packet) {
    if (LIKELY(is_with(&socket->first, packet))) {
        if (packet->device == socket->first.device)
            talk_counts(&socket->first, packet);
        return;
    }
    if (!socket->has_peers && packet->may_begin &&
        __sync_val_compare_and_swap(&socket->first.stage, IS_FREE, IS_BEGUN) == IS_FREE) {
        talk_begins(&socket->first, packet);
        talk_counts(&socket->first, packet);
        socket->first.stage = IS_READY;
        return;
    }
    socket->has_peers = 1;
    peer_counts(key, socket, packet);
}

INLINE void fill_talk(struct record *record, const struct facts *facts, const struct users *users,
                      const struct talk *talk, u32 flags, u64 now) {
    record->flags = talk->flags | flags | (users ? flags_of_users(users) : 0);
    record->time = now;
    record->started = talk->started;
    record->cookie = facts->cookie;
    record->group = facts->group;
    record->owner = talk->owner ? talk->owner : users ? users->now : 0;
    record->former = users ? users->former : 0;
    record->sent_bytes = talk->sent_bytes;
    record->received_bytes = talk->received_bytes;
    record->sent_packets = talk->sent_packets;
    record->received_packets = talk->received_packets;
    record->round_trip = record->retransmits = 0;
    record->namespace = facts->namespace;
    record->user = facts->user;
    record->local = talk->local;
    record->remote = talk->remote;
    record->local_port = talk->local_port;
    record->remote_port = talk->remote_port;
    record->error = 0;
    record->protocol = talk->protocol;
    record->state = STATE_ESTABLISHED;
}

INLINE void tell_talk(u32 kind, const struct facts *facts, const struct users *users, const struct talk *talk,
                      u32 flags, u64 now) {
    struct record *record = ring_reserve_for_end(kind, sizeof(*record));
    if (!record)
        return;
    fill_talk(record, facts, users, talk, flags, now);
    ring_submit(record);
}

INLINE void fill_bound(struct record *record, const struct datagram_socket *socket, u64 now) {
    __builtin_memset((char *)record + sizeof(record->kind), 0, sizeof(*record) - sizeof(record->kind));
    record->flags = socket->flags | flags_of_users(&socket->users);
    record->time = now;
    record->started = now;
    record->cookie = socket->facts.cookie;
    record->group = socket->facts.group;
    record->owner = socket->users.now;
    record->former = socket->users.former;
    record->namespace = socket->facts.namespace;
    record->user = socket->facts.user;
    record->local = socket->bound;
    record->local_port = socket->bound_port;
    record->protocol = socket->protocol;
    record->state = STATE_CLOSE;
}

/* Tells that a socket waits for datagrams, or does no longer. */
INLINE void tell_bound(u32 kind, const struct datagram_socket *socket, u64 now) {
    struct record *record = ring_reserve_for_end(kind, sizeof(*record));
    if (!record)
        return;
    fill_bound(record, socket, now);
    ring_submit(record);
}
