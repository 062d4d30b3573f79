/* What is told of a conversation or of a socket that waits for some. */
#pragma once
#include "owner.h"
#include "ring.h"

enum {
    FAMILY_INET = 2,
    FAMILY_INET6 = 10,
    FAMILY_PACKET = 17,
    PROTOCOL_ICMP = 1,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,
    PROTOCOL_ICMPV6 = 58,
    PROTOCOL_UDPLITE = 136,
    PROTOCOL_MPTCP = 262,
};

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d, in network order. */
struct address {
    u32 word[4];
};

enum record_flag {
    IS_ANSWERER = 1,   /* the other side began the conversation */
    IS_OLD = 2,        /* it existed before the programs were loaded: `started` is when it was found */
    IS_HELD = 4,       /* the owner holds a descriptor, and was not seen to use it */
    IS_SHARED = 8,     /* `former` uses, or holds it, as well */
    IS_KERNELS = 16,   /* a socket of the kernel itself */
    IS_INJECTED = 32,  /* frames written to a packet socket */
    IS_SILENT = 64,    /* it ended by silence */
};

/* Read by decode.rs: the two must agree. All numbers are the host's, addresses are in network order. */
struct record {
    u32 kind, flags;
    u64 time, started; /* nanoseconds since boot */
    u64 cookie, group;
    owner_t owner, former;
    u64 sent_bytes, received_bytes, sent_packets, received_packets;
    u32 round_trip, retransmits, namespace, user;
    struct address local, remote;
    u16 local_port, remote_port, error;
    u8 protocol, state;
};

INLINE void mapped(struct address *address, u32 inet) {
    address->word[0] = 0;
    address->word[1] = 0;
    address->word[2] = __builtin_bswap32(0xffff);
    address->word[3] = inet;
}

INLINE u32 flags_of_users(const struct users *users) {
    return (users->is_held ? IS_HELD : 0) | (users->is_shared ? IS_SHARED : 0);
}

/* Members are read directly where the verifier vouches for the pointer, and blindly where it does not. */
#define GET(is_blind, into, member) \
    do { \
        if (is_blind) \
            READ(into, member); \
        else \
            (into) = (member); \
    } while (0)

INLINE u32 namespace_of(struct sock *sk, const int is_blind) {
    struct net *net;
    u32 namespace;
    GET(is_blind, net, sk->__sk_common.skc_net.net);
    GET(is_blind, namespace, net->ns.inum);
    return namespace;
}

INLINE u64 group_of(struct sock *sk, const int is_blind) {
    struct cgroup *group;
    struct kernfs_node *node;
    u64 id = 0;
    if (EXISTS(sk->sk_cgrp_data.cgroup)) {
        GET(is_blind, group, sk->sk_cgrp_data.cgroup);
        GET(is_blind, node, group->kn);
        GET(is_blind, id, node->id);
    }
    return id;
}

/* Both addresses of a socket. */
INLINE void addresses_of(struct sock *sk, struct address *local, struct address *remote, const int is_blind) {
    u16 family;
    GET(is_blind, family, sk->__sk_common.skc_family);
    if (family == FAMILY_INET || !EXISTS(sk->__sk_common.skc_v6_daddr)) {
        u32 address;
        GET(is_blind, address, sk->__sk_common.skc_rcv_saddr);
        mapped(local, address);
        GET(is_blind, address, sk->__sk_common.skc_daddr);
        mapped(remote, address);
        return;
    }
    for (int i = 0; i < 4; i++) {
        GET(is_blind, local->word[i], sk->__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr32[i]);
        GET(is_blind, remote->word[i], sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[i]);
    }
}
_Static_assert(sizeof(struct record) == 144, "decode.rs reads 144 bytes");
