/* Who reads and writes. It costs a look-up for every call, and must not cost more. */
#pragma once
#include "datagrams.h"

INLINE void used(struct sock *sk, int result) {
    u16 family = sk->__sk_common.skc_family;
    if (result < 0 || (family != FAMILY_INET && family != FAMILY_INET6 && family != FAMILY_PACKET))
        return;
    u16 protocol = sk->sk_protocol;
    if (family == FAMILY_PACKET) {
        datagram_used(sk);
    } else if (protocol == PROTOCOL_TCP && LIKELY(sk->sk_type != TYPE_RAW)) {
        stream_used(sk);
    } else if (protocol == PROTOCOL_MPTCP) {
        /* Its bytes go over TCP sockets that only the kernel touches. */
        struct mptcp_sock *multipath = (void *)sk;
        if (EXISTS(multipath->first)) {
            struct sock *first;
            READ(first, multipath->first);
            stream_used_blindly((u64)first);
        }
    } else {
        datagram_used(sk);
    }
}

SEC("tp_btf/sock_send_length")
int socket_sent(u64 *context) {
    used((void *)context[0], context[1]);
    return 0;
}

SEC("tp_btf/sock_recv_length")
int socket_received(u64 *context) {
    used((void *)context[0], context[1]);
    return 0;
}
