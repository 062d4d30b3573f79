/* UDP, ICMP echo and raw sockets: packets are counted where the control group hands them on. */
#pragma once
#include "talks.h"

enum {
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_IPV6 = 0x86dd,
    ETHERTYPE_VLAN = 0x8100,
    ETHERTYPE_QINQ = 0x88a8,
    TYPE_RAW = 3,
    ECHO_REPLY = 0,
    ECHO_REQUEST = 8,
    ECHO6_REQUEST = 128,
    ECHO6_REPLY = 129,
    MOST_EXTENSIONS = 4,
};
#define NETWORK16(number) __builtin_bswap16(number)
#define PASS 1

/* Ports that the kernel gives to those who do not ask for one. A socket bound outside of them waits for others. */
const volatile u32 first_ephemeral = 32768;
const volatile u32 last_ephemeral = 60999;

INLINE int is_udp(u8 protocol) {
    return protocol == PROTOCOL_UDP || protocol == PROTOCOL_UDPLITE;
}

INLINE int is_icmp(u8 protocol) {
    return protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6;
}

/* Where the transport's header begins, behind `*protocol`, or 0. A fragment beyond the first has no ports to read. */
INLINE u32 skip_extensions(struct __sk_buff *skb, u8 *protocol, int *is_fragment) {
    u32 offset = 40;
    for (int i = 0; i < MOST_EXTENSIONS; i++) {
        u8 header[4];
        u8 next = *protocol;
        if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60)
            return offset;
        if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
            return 0;
        *protocol = header[0];
        if (next == 44) {
            offset += 8;
            if (((header[2] << 8 | header[3]) & 0xfff8) != 0)
                *is_fragment = 1;
        } else {
            offset += next == 51 ? (header[1] + 2) * 4 : (header[1] + 1) * 8;
        }
    }
    return offset;
}

/* Reads the headers. 0 when this is TCP, or nothing that can be counted. */
INLINE int read_packet(struct __sk_buff *skb, struct packet *packet) {
    u8 *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    u32 offset;
    int is_fragment = 0;
    u8 is_sent = packet->is_sent;
    if (skb->protocol == NETWORK16(ETHERTYPE_IPV4)) {
        if (data + 20 > end || data[9] == PROTOCOL_TCP)
            return 0;
        packet->protocol = data[9];
        offset = (data[0] & 15) * 4;
        is_fragment = (data[6] & 0x1f) | data[7];
        u32 source = *(u32 *)(data + 12), destination = *(u32 *)(data + 16);
        mapped(&packet->local, is_sent ? source : destination);
        mapped(&packet->remote, is_sent ? destination : source);
    } else if (skb->protocol == NETWORK16(ETHERTYPE_IPV6)) {
        if (data + 40 > end || data[6] == PROTOCOL_TCP)
            return 0;
        packet->protocol = data[6];
        struct address *source = (void *)(data + 8), *destination = (void *)(data + 24);
        packet->local = is_sent ? *source : *destination;
        packet->remote = is_sent ? *destination : *source;
        offset = skip_extensions(skb, &packet->protocol, &is_fragment);
        if (!offset || packet->protocol == PROTOCOL_TCP)
            return 0;
    } else {
        return 0;
    }

    /* Whoever writes raw packets may write what he likes. */
    if (skb->len < offset)
        return 0;
    u32 length = skb->len - offset;
    packet->packets = skb->gso_segs > 1 ? skb->gso_segs : 1;
    packet->may_begin = 1;
    if (is_fragment) {
        packet->bytes = length;
        return 1;
    }
    if (is_udp(packet->protocol)) {
        u16 ports[2];
        if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
            return 0;
        packet->local_port = NETWORK16(ports[is_sent ? 0 : 1]);
        packet->remote_port = NETWORK16(ports[is_sent ? 1 : 0]);
        /* A packet that is cut later has one header now. */
        packet->bytes = length > 8 ? length - 8 : 0;
        return 1;
    }
    packet->bytes = length;
    if (is_icmp(packet->protocol)) {
        u8 header[8];
        if (bpf_skb_load_bytes(skb, offset, header, sizeof(header)))
            return 1;
        u8 reply = packet->protocol == PROTOCOL_ICMP ? ECHO_REPLY : ECHO6_REPLY;
        packet->mark = *(u16 *)(header + 4);
        /* Every raw socket gets a copy of every answer. */
        if (!is_sent) {
            packet->may_begin = 0;
            if (header[0] != reply)
                return 0;
        }
    }
    return 1;
}

/* The kernel's own sockets answer echo requests, report errors and refuse TCP segments; they belong to no process. They
 * never had a file; a program's had one until it was closed, and then no `struct socket` either. Closing lets go of that
 * before the file, so asking for it last tells the two apart also while a program closes. */
INLINE int is_of_kernel(struct sock *sk) {
    struct socket *socket;
    struct file *file;
    READ(socket, sk->sk_socket);
    READ(file, socket->file);
    READ(socket, sk->sk_socket);
    return socket && !file;
}

INLINE int datagram(struct __sk_buff *skb, const u8 is_sent) {
    struct packet packet = {.is_sent = is_sent};
    if (!read_packet(skb, &packet))
        return PASS;
    packet.now = bpf_ktime_get_coarse_ns();
    struct bpf_sock *sock = skb->sk;
    if (!sock)
        return PASS;
    sock = bpf_sk_fullsock(sock);
    if (!sock)
        return PASS;
    /* A raw socket for UDP gets copies of what other sockets are sent. */
    if (!is_sent && sock->type == TYPE_RAW && is_udp(packet.protocol))
        return PASS;
    u64 key = (u64)sock;
    struct datagram_socket *socket = bpf_map_lookup_elem(&sockets, &key);
    if (LIKELY(socket)) {
        count(key, socket, &packet);
        return PASS;
    }
    if (!packet.may_begin)
        return PASS;
    socket = keep_socket(key, bpf_get_socket_cookie(skb), sock->protocol);
    if (!socket)
        return PASS;
    if (is_icmp(packet.protocol) && is_of_kernel(socket_of(&socket->facts)))
        bpf_map_delete_elem(&sockets, &key);
    else
        count(key, socket, &packet);
    return PASS;
}

SEC("cgroup_skb/egress")
int datagram_sent(struct __sk_buff *skb) {
    return datagram(skb, 1);
}

SEC("cgroup_skb/ingress")
int datagram_received(struct __sk_buff *skb) {
    return datagram(skb, 0);
}

/* The current process reads or writes a socket that is no stream. */
INLINE void datagram_used(struct sock *sk) {
    u64 key = (u64)sk;
    struct datagram_socket *socket = bpf_map_lookup_elem(&sockets, &key);
    if (!socket)
        return;
    if (UNLIKELY(!socket->facts.namespace))
        fill_facts(&socket->facts, sk, 0);
    if (UNLIKELY(!socket->facts.cookie))
        socket->facts.cookie = bpf_get_socket_cookie(sk);
    if (!is_known_user(&socket->users, current_process()))
        note_user(&socket->users);
}

INLINE int bound(struct bpf_sock *sock, const struct address *address) {
    if (!is_udp(sock->protocol))
        return PASS;
    u64 key = (u64)sock;
    struct datagram_socket *socket = keep_socket(key, bpf_get_socket_cookie(sock), sock->protocol);
    if (!socket)
        return PASS;
    note_user(&socket->users);
    fill_facts(&socket->facts, socket_of(&socket->facts), 1);
    u16 port = sock->src_port;
    if (port < first_ephemeral || port > last_ephemeral) {
        socket->bound = *address;
        socket->bound_port = port;
        tell_bound(KIND_LISTEN, socket, bpf_ktime_get_boot_ns());
    }
    return PASS;
}

SEC("cgroup/post_bind4")
int datagram_bound4(struct bpf_sock *sock) {
    struct address address;
    mapped(&address, sock->src_ip4);
    return bound(sock, &address);
}

SEC("cgroup/post_bind6")
int datagram_bound6(struct bpf_sock *sock) {
    struct address address;
    address.word[0] = sock->src_ip6[0];
    address.word[1] = sock->src_ip6[1];
    address.word[2] = sock->src_ip6[2];
    address.word[3] = sock->src_ip6[3];
    return bound(sock, &address);
}

SEC("cgroup/sock_release")
int released(struct bpf_sock *sock) {
    u64 key = (u64)sock;
    if (sock->protocol == PROTOCOL_TCP && LIKELY(sock->type != TYPE_RAW)) {
        stream_released(key);
        return PASS;
    }
    struct datagram_socket *socket = bpf_map_lookup_elem(&sockets, &key);
    if (!socket)
        return PASS;
    if (!socket->facts.namespace)
        fill_facts(&socket->facts, socket_of(&socket->facts), 1);
    u64 now = bpf_ktime_get_boot_ns();
    if (__sync_val_compare_and_swap(&socket->first.stage, IS_READY, IS_BEGUN) == IS_READY)
        tell_talk(KIND_CLOSED, &socket->facts, &socket->users, &socket->first, 0, now);
    if (socket->bound_port)
        tell_bound(KIND_DEAF, socket, now);
    /* Its other conversations are ended by the walker. */
    bpf_map_delete_elem(&sockets, &key);
    return PASS;
}
