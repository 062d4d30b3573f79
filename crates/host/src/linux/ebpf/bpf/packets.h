/* Frames written to packet sockets, and TCP segments written to raw ones: no control group sees the first, and the
 * second hide among all others. They are counted where a frame is queued for its device, with the process that wrote
 * them and the addresses that it wrote. Frames of sockets that go around that queue (PACKET_QDISC_BYPASS) pass no
 * tracepoint, and are not seen. */
#pragma once
#include "datagrams.h"

enum { DEVICE_ETHERNET = 1, DEVICE_LOOPBACK = 772, ETHERNET_HEADER = 14 };

/* Reads the headers of the IP packet at `data`, `length` bytes long. 0 when it is none. */
INLINE int read_frame(const u8 *data, u32 length, struct packet *packet) {
    u8 header[40];
    u32 offset = 40;
    if (bpf_probe_read_kernel(header, 20, data))
        return 0;
    if (header[0] >> 4 == 4) {
        offset = (header[0] & 15) * 4;
        packet->protocol = header[9];
        mapped(&packet->local, *(u32 *)(header + 12));
        mapped(&packet->remote, *(u32 *)(header + 16));
    } else if (header[0] >> 4 == 6) {
        if (bpf_probe_read_kernel(header, 40, data))
            return 0;
        packet->protocol = header[6];
        packet->local = *(struct address *)(header + 8);
        packet->remote = *(struct address *)(header + 24);
    } else {
        return 0;
    }
    if (length < offset)
        return 0;
    packet->bytes = length - offset;
    u8 first[16];
    if (packet->protocol != PROTOCOL_TCP && !is_udp(packet->protocol))
        return 1;
    if (bpf_probe_read_kernel(first, sizeof(first), data + offset))
        return 1;
    u32 own = packet->protocol == PROTOCOL_TCP ? (first[12] >> 4) * 4 : 8;
    packet->local_port = NETWORK16(*(u16 *)first);
    packet->remote_port = NETWORK16(*(u16 *)(first + 2));
    packet->bytes = packet->bytes > own ? packet->bytes - own : 0;
    return 1;
}

SEC("tp_btf/net_dev_queue")
int frame_sent(u64 *context) {
    struct sk_buff *skb = (void *)context[0];
    struct sock *sk = skb->sk;
    if (!sk)
        return 0;
    u16 family = sk->__sk_common.skc_family;
    int is_packet = family == FAMILY_PACKET;
    if (LIKELY(!is_packet)) {
        u8 state = sk->__sk_common.skc_state;
        /* Requests and TIME_WAIT are no complete sockets: they have no type. */
        if (state == STATE_TIME_WAIT || state == STATE_NEW_SYN_RECEIVED || sk->sk_type != TYPE_RAW)
            return 0;
        /* What no TCP socket wants to have, the kernel refuses from a raw socket of its own, one a processor. */
        if (is_of_kernel(sk))
            return 0;
    }
    struct packet packet = {.is_sent = 1, .may_begin = 1, .packets = 1, .flags = IS_INJECTED};
    u8 *data = skb->data;
    u32 length = skb->len;
    struct net_device *device = skb->dev;
    u16 type = device->type;
    packet.device = device->ifindex;
    if (type == DEVICE_ETHERNET || type == DEVICE_LOOPBACK) {
        u16 ether;
        u32 offset = ETHERNET_HEADER;
        READ(ether, *(u16 *)(data + 12));
        for (int i = 0; i < 2; i++)
            if (ether == NETWORK16(ETHERTYPE_VLAN) || ether == NETWORK16(ETHERTYPE_QINQ)) {
                READ(ether, *(u16 *)(data + offset + 2));
                offset += 4;
            }
        if ((ether != NETWORK16(ETHERTYPE_IPV4) && ether != NETWORK16(ETHERTYPE_IPV6)) || length < offset)
            return 0;
        data += offset;
        length -= offset;
    }
    if (!read_frame(data, length, &packet))
        return 0;
    /* All that raw sockets send but TCP has been counted by the control group. */
    if (!is_packet && packet.protocol != PROTOCOL_TCP)
        return 0;
    packet.now = bpf_ktime_get_ns();
    u64 key = (u64)sk;
    u64 cookie = sk->__sk_common.skc_cookie.counter;
    struct datagram_socket *socket = bpf_map_lookup_elem(&sockets, &key);
    if (socket && UNLIKELY(socket->facts.cookie != cookie && socket->facts.cookie)) {
        end_former(&socket->facts, &socket->users, &socket->first, packet.now);
        bpf_map_delete_elem(&sockets, &key);
        socket = 0;
    }
    if (!socket) {
        /* It may have no cookie yet; then it gets one as its sender comes back from sending. */
        socket = keep_socket(key, cookie, packet.protocol);
        if (!socket)
            return 0;
        fill_facts(&socket->facts, sk, 1);
        socket->is_unreleased = is_packet;
    }
    count(key, socket, &packet);
    return 0;
}
