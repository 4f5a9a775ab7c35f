// SPDX-License-Identifier: Apache-2.0
//
// send_frames INTERFACE ADDRESS NODE OTHER KIND COUNT: as root of a machine whose address is
// ADDRESS, sends so many frames of that kind over the interface, to the node at NODE or pretending
// to be OTHER. `send_frames kinds` lists them, each with "good" where a machine may send it.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

typedef unsigned char byte;

static byte frame[512];
static size_t size;
static byte own_mac[6];
static in_addr_t own, node, other;

static const byte kEverybody[6] = {255, 255, 255, 255, 255, 255};
static const byte kGateway[6] = {2, 0xaa, 0, 0, 0, 1};
static const byte kStranger[6] = {2, 0xba, 0xd0, 0, 0, 1};

static void add(const void* data, size_t count) {
  memcpy(frame + size, data, count);
  size += count;
}
static void add16(unsigned number) {
  const byte bytes[2] = {(byte)(number >> 8), (byte)number};
  add(bytes, 2);
}

static void begin(const byte* to, const byte* from, unsigned type) {
  size = 0;
  add(to, 6);
  add(from, 6);
  add16(type);
}

static void arp(const byte* from, unsigned operation, const byte* sender, in_addr_t sender_ip,
                in_addr_t target_ip) {
  const byte nobody[6] = {0};
  begin(kEverybody, from, ETHERTYPE_ARP);
  add16(1);
  add16(ETHERTYPE_IP);
  add16(0x0604);
  add16(operation);
  add(sender, 6);
  add(&sender_ip, 4);
  add(nobody, 6);
  add(&target_ip, 4);
}

static unsigned sum_of(const byte* data, size_t count) {
  unsigned sum = 0;
  for (size_t i = 0; i + 1 < count; i += 2) sum += (unsigned)(data[i] << 8 | data[i + 1]);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

static void ip(const byte* to, const byte* from, in_addr_t source, in_addr_t target, int protocol,
               unsigned fragment, const void* payload, size_t count) {
  struct iphdr header = {0};
  begin(to, from, ETHERTYPE_IP);
  header.version = 4;
  header.ihl = 5;
  header.tot_len = htons((unsigned short)(sizeof header + count));
  header.frag_off = htons((unsigned short)fragment);
  header.ttl = 64;
  header.protocol = (byte)protocol;
  header.saddr = source;
  header.daddr = target;
  header.check = htons((unsigned short)sum_of((const byte*)&header, sizeof header));
  add(&header, sizeof header);
  add(payload, count);
}

static void udp(in_addr_t target, unsigned from, unsigned to) {
  struct {
    struct udphdr head;
    byte data[16];
  } packet = {0};
  packet.head.source = htons((unsigned short)from);
  packet.head.dest = htons((unsigned short)to);
  packet.head.len = htons(sizeof packet);
  ip(kGateway, own_mac, own, target, IPPROTO_UDP, 0, &packet, sizeof packet);
}

static void tcp(in_addr_t target, unsigned from, unsigned to, byte flags, unsigned fragment) {
  struct tcphdr head = {0};
  head.source = htons((unsigned short)from);
  head.dest = htons((unsigned short)to);
  head.doff = 5;
  ((byte*)&head)[13] = flags;
  ip(kGateway, own_mac, own, target, IPPROTO_TCP, fragment, &head, sizeof head);
}

static void icmp(in_addr_t target, byte type) {
  byte packet[16] = {type};
  ip(kGateway, own_mac, own, target, IPPROTO_ICMP, 0, packet, sizeof packet);
}

// About a packet that was sent to `quoted`: "fragmentation needed" changes what the node knows of
// the way there.
static void icmp_error(in_addr_t target, in_addr_t quoted) {
  byte packet[48] = {ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED};
  packet[7] = 100;
  packet[8] = 0x45;
  memcpy(packet + 24, &quoted, 4);
  ip(kGateway, own_mac, own, target, IPPROTO_ICMP, 0, packet, sizeof packet);
}

static void ipv6(byte type) {
  byte packet[56] = {0x60, 0, 0, 0, 0, 16, IPPROTO_ICMPV6, 255, 0xfe, 0x80};
  const byte to[6] = {0x33, 0x33, 0, 0, 0, 1};
  packet[23] = 1;
  packet[24] = 0xff;
  packet[25] = 2;
  packet[39] = 1;
  packet[40] = type;
  begin(to, own_mac, ETHERTYPE_IPV6);
  add(packet, sizeof packet);
}

static void tagged(unsigned tag) {
  byte inner[256];
  size_t count;
  arp(own_mac, 1, own_mac, own, node);
  count = size - 12;
  memcpy(inner, frame + 12, count);
  size = 12;
  add16(tag);
  add16(5);
  add(inner, count);
}

static void of_type(const byte* to, unsigned type) {
  const byte nothing[46] = {0x42, 0x42, 3};
  begin(to, own_mac, type);
  add(nothing, sizeof nothing);
}

static void good_arp(void) {
  arp(own_mac, 1, own_mac, own, node);
}
static void good_reply(void) {
  arp(own_mac, 2, own_mac, own, node);
}
static void good_probe(void) {
  arp(own_mac, 1, own_mac, 0, own);
}
static void good_question(void) {
  udp(node, 40000, 53);
}
static void good_answer(void) {
  tcp(node, 22, 40000, TH_ACK, 0);
}
static void good_away(void) {
  tcp(inet_addr("198.51.100.7"), 40000, 443, TH_SYN, 0);
}
static void foreign_mac(void) {
  arp(kStranger, 1, kStranger, own, node);
}
static void arp_foreign_mac(void) {
  arp(own_mac, 2, kStranger, own, node);
}
static void arp_foreign_ip(void) {
  arp(own_mac, 2, own_mac, other, node);
}
static void arp_gratuitous(void) {
  arp(own_mac, 1, own_mac, other, other);
}
static void arp_probe_for_other(void) {
  arp(own_mac, 1, own_mac, 0, other);
}
static void arp_rarp(void) {
  arp(own_mac, 3, own_mac, own, node);
}
static void foreign_ip(void) {
  byte packet[16] = {ICMP_ECHO};
  ip(kGateway, own_mac, other, node, IPPROTO_ICMP, 0, packet, sizeof packet);
}
static void to_other_machine(void) {
  tcp(other, 40000, 22, TH_SYN, 0);
}
static void good_error(void) {
  icmp_error(node, own);
}
static void error_about_others(void) {
  icmp_error(node, inet_addr("198.51.100.7"));
}
static void error_about_others_away(void) {
  icmp_error(inet_addr("198.51.100.8"), inet_addr("198.51.100.7"));
}
static void error_that_is_short(void) {
  icmp(node, ICMP_DEST_UNREACH);
}
// By the frame to another's machine, by the packet to somewhere behind it.
static void by_way_of_other_machine(void) {
  byte mac[6] = {2, 0};
  const byte packet[16] = {ICMP_ECHO};
  memcpy(mac + 2, &other, 4);
  ip(mac, own_mac, own, inet_addr("172.17.0.2"), IPPROTO_ICMP, 0, packet, sizeof packet);
}
static void to_all_by_the_frame(void) {
  const byte packet[16] = {ICMP_ECHO};
  ip(kEverybody, own_mac, own, inet_addr("198.51.100.7"), IPPROTO_ICMP, 0, packet, sizeof packet);
}
static void short_ip(void) {
  begin(kGateway, own_mac, ETHERTYPE_IP);
  add("\x45\0\0\x14\0\0\0\0\x40\x06\0\0", 12);
  add(&own, 4);
}
static void not_ip_4(void) {
  icmp(inet_addr("198.51.100.7"), ICMP_ECHO);
  frame[14] = 0x65;
}
static void dhcp_answer(void) {
  udp(INADDR_BROADCAST, 67, 68);
}
static void dns_answer(void) {
  udp(node, 53, 40000);
}
static void dns_answer_tcp(void) {
  tcp(node, 53, 40000, TH_ACK, 0);
}
static void mdns(void) {
  udp(inet_addr("224.0.0.251"), 5353, 5353);
}
static void multicast(void) {
  udp(inet_addr("239.1.2.3"), 40000, 40000);
}
static void broadcast(void) {
  udp(INADDR_BROADCAST, 40000, 40000);
}
static void net_broadcast(void) {
  udp(node | htonl(255), 40000, 40000);
}
static void icmp_redirect(void) {
  icmp(node, ICMP_REDIRECT);
}
static void icmp_router(void) {
  icmp(node, 9);
}
static void slurmctld(void) {
  tcp(node, 40000, 6817, TH_SYN, 0);
}
static void ssh(void) {
  tcp(node, 40000, 22, TH_SYN, 0);
}
static void syn_and_fin(void) {
  tcp(node, 40000, 22, TH_SYN | TH_FIN, 0);
}
static void syn_with_ecn(void) {
  tcp(node, 40000, 22, TH_SYN | 0xc0, 0);
}
static void first_piece(void) {
  tcp(node, 40000, 22, TH_ACK, 0x2000);
}
static void later_piece(void) {
  tcp(node, 40000, 22, TH_ACK, 1);
}
static void node_udp(void) {
  udp(node, 40000, 111);
}
static void loopback_of_node(void) {
  tcp(inet_addr("127.0.0.1"), 40000, 22, TH_SYN, 0);
}
static void router_advertisement(void) {
  ipv6(ND_ROUTER_ADVERT);
}
static void neighbour_advertisement(void) {
  ipv6(ND_NEIGHBOR_ADVERT);
}
static void redirect6(void) {
  ipv6(ND_REDIRECT);
}
static void echo6(void) {
  ipv6(ICMP6_ECHO_REQUEST);
}
static void vlan(void) {
  tagged(ETHERTYPE_VLAN);
}
static void vlan_of_provider(void) {
  tagged(0x88a8);
}
static void lldp(void) {
  of_type((const byte*)"\x01\x80\xc2\0\0\x0e", 0x88cc);
}
static void spanning_tree(void) {
  of_type((const byte*)"\x01\x80\xc2\0\0\0", 38);
}
static void eapol(void) {
  of_type((const byte*)"\x01\x80\xc2\0\0\x03", 0x888e);
}
static void mpls(void) {
  of_type(kEverybody, 0x8847);
}
static void pppoe(void) {
  of_type(kEverybody, 0x8863);
}

static const struct {
  const char* name;
  const char* verdict;
  void (*make)(void);
} kKinds[] = {{"arp", "good", good_arp},
              {"arp_reply", "good", good_reply},
              {"arp_probe", "good", good_probe},
              {"dns_question", "good", good_question},
              {"answer", "good", good_answer},
              {"away", "good", good_away},
              {"error", "good", good_error},
              {"error_about_others", "bad", error_about_others},
              {"error_about_others_away", "bad", error_about_others_away},
              {"error_that_is_short", "bad", error_that_is_short},
              {"by_way_of_other_machine", "bad", by_way_of_other_machine},
              {"to_all_by_the_frame", "bad", to_all_by_the_frame},
              {"short_ip", "bad", short_ip},
              {"not_ip_4", "bad", not_ip_4},
              {"foreign_mac", "bad", foreign_mac},
              {"arp_foreign_mac", "bad", arp_foreign_mac},
              {"arp_foreign_ip", "bad", arp_foreign_ip},
              {"arp_gratuitous", "bad", arp_gratuitous},
              {"arp_probe_for_other", "bad", arp_probe_for_other},
              {"arp_rarp", "bad", arp_rarp},
              {"foreign_ip", "bad", foreign_ip},
              {"to_other_machine", "bad", to_other_machine},
              {"dhcp_answer", "bad", dhcp_answer},
              {"dns_answer", "bad", dns_answer},
              {"dns_answer_tcp", "bad", dns_answer_tcp},
              {"mdns", "bad", mdns},
              {"multicast", "bad", multicast},
              {"broadcast", "bad", broadcast},
              {"net_broadcast", "bad", net_broadcast},
              {"icmp_redirect", "bad", icmp_redirect},
              {"icmp_router", "bad", icmp_router},
              {"slurmctld", "bad", slurmctld},
              {"ssh", "bad", ssh},
              {"syn_and_fin", "bad", syn_and_fin},
              {"syn_with_ecn", "bad", syn_with_ecn},
              {"first_piece", "bad", first_piece},
              {"later_piece", "bad", later_piece},
              {"node_udp", "bad", node_udp},
              {"loopback_of_node", "bad", loopback_of_node},
              {"router_advertisement", "bad", router_advertisement},
              {"neighbour_advertisement", "bad", neighbour_advertisement},
              {"redirect6", "bad", redirect6},
              {"echo6", "bad", echo6},
              {"vlan", "bad", vlan},
              {"vlan_of_provider", "bad", vlan_of_provider},
              {"lldp", "bad", lldp},
              {"spanning_tree", "bad", spanning_tree},
              {"eapol", "bad", eapol},
              {"mpls", "bad", mpls},
              {"pppoe", "bad", pppoe}};
enum { kKindCount = sizeof kKinds / sizeof kKinds[0] };

int main(int argc, char** argv) {
  struct sockaddr_ll at = {0};
  struct ifreq request = {0};
  int raw;
  if (argc == 2) {
    for (int i = 0; i < kKindCount; ++i) printf("%s %s\n", kKinds[i].name, kKinds[i].verdict);
    return 0;
  }
  if (argc != 7) return 2;
  raw = socket(AF_PACKET, SOCK_RAW, 0);
  strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
  if (raw < 0 || ioctl(raw, SIOCGIFHWADDR, &request) != 0) return perror("raw socket"), 1;
  memcpy(own_mac, request.ifr_hwaddr.sa_data, 6);
  own = inet_addr(argv[2]);
  node = inet_addr(argv[3]);
  other = inet_addr(argv[4]);
  at.sll_family = AF_PACKET;
  at.sll_ifindex = (int)if_nametoindex(argv[1]);
  for (int i = 0; i < kKindCount; ++i) {
    if (strcmp(kKinds[i].name, argv[5]) != 0) continue;
    kKinds[i].make();
    for (int left = atoi(argv[6]); left > 0; --left) {
      if (sendto(raw, frame, size, 0, (struct sockaddr*)&at, sizeof at) < 0)
        return perror("send"), 1;
    }
    printf("sent %s\n", argv[5]);
    return 0;
  }
  return 2;
}
