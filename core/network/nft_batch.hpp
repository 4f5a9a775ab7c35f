// SPDX-License-Identifier: Apache-2.0
//
// Rules of nftables in the family netdev, which sees each packet of one interface before anything
// else on the node does: written as expressions, which `nft list ruleset` shows as its own
// language, and put in force all at once or not at all. Through libnftnl, as nft(8) itself takes
// ten times as long to start as the kernel takes to answer.
#pragma once

#include <arpa/inet.h>  // before the kernel's headers, which give way to it
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/error.hpp"

struct nftnl_rule;

namespace cloud {

struct NftTable {
  std::uint8_t family;  ///< NFPROTO_NETDEV, NFPROTO_BRIDGE
  std::string name;
};

/// One rule: what is looked at, and what becomes of a packet for which all of it is true.
class NftRule {
 public:
  NftRule();
  ~NftRule();
  NftRule(NftRule&&) noexcept;
  NftRule& operator=(NftRule&&) = delete;

  /// Bytes of the packet become the value that the next comparison is about.
  NftRule& link(std::uint32_t offset, std::uint32_t size);       ///< of the Ethernet header
  NftRule& network(std::uint32_t offset, std::uint32_t size);    ///< of the IP or ARP header
  NftRule& transport(std::uint32_t offset, std::uint32_t size);  ///< of the TCP or UDP header
  /// Its transport protocol, one byte: IPPROTO_TCP, ...
  NftRule& protocol();
  /// The name of the interface that it came in by.
  NftRule& came_in_by(const std::string& interface);
  /// Its mark, 32 bits.
  NftRule& mark();
  NftRule& set_mark(std::uint32_t value);
  /// What the node's routes say of its destination: RTN_LOCAL, ..., 32 bits.
  NftRule& destination_type();
  /// The value, without the bits that are not in the mask.
  NftRule& masked(const std::vector<std::uint8_t>& mask);

  NftRule& is(const std::vector<std::uint8_t>& value) { return compare(NFT_CMP_EQ, value); }
  NftRule& is_not(const std::vector<std::uint8_t>& value) { return compare(NFT_CMP_NEQ, value); }
  NftRule& is_in(const std::string& set);

  NftRule&& accept() && { return std::move(*this).end(NF_ACCEPT, ""); }
  NftRule&& drop() && { return std::move(*this).end(NF_DROP, ""); }
  NftRule&& go_to(const std::string& chain) && { return std::move(*this).end(NFT_GOTO, chain); }

 private:
  friend class NftBatch;
  NftRule& payload(std::uint32_t base, std::uint32_t offset, std::uint32_t size);
  NftRule& meta(std::uint32_t key);
  NftRule& compare(std::uint32_t operation, const std::vector<std::uint8_t>& value);
  NftRule&& end(int verdict, const std::string& chain) &&;

  struct Free {
    void operator()(nftnl_rule* rule) const;
  };
  std::unique_ptr<nftnl_rule, Free> rule_;
};

/// IPv4 addresses from `first` to `last`, both included, in the host's byte order.
struct AddressRun {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

class NftBatch {
 public:
  NftBatch();
  ~NftBatch();
  NftBatch(const NftBatch&) = delete;
  NftBatch& operator=(const NftBatch&) = delete;

  void add_table(const NftTable& table);
  /// It has to be there.
  void delete_table(const NftTable& table);
  /// Of IPv4 addresses; runs neither overlap nor touch.
  void add_set(const NftTable& table, const std::string& set, const std::vector<AddressRun>& runs);
  void empty_set(const NftTable& table, const std::string& set);
  void fill_set(const NftTable& table, const std::string& set, const std::vector<AddressRun>& runs);
  void add_chain(const NftTable& table, const std::string& chain);
  /// One that packets come to by themselves: at a hook of the family, such as NF_NETDEV_INGRESS, of
  /// one interface where the family wants one. `policy`, NF_ACCEPT or NF_DROP, is for those that no
  /// rule is about.
  void add_base_chain(const NftTable& table, const std::string& chain, std::uint32_t hook,
                      std::int32_t priority, std::uint32_t policy,
                      const std::string& interface = "");
  void add_rule(const NftTable& table, const std::string& chain, NftRule rule);

  /// In the network namespace that the caller is in.
  [[nodiscard]] Result<void> commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The names of the tables of the family, in the network namespace that the caller is in; none
/// where the kernel has no nftables.
[[nodiscard]] Result<std::vector<std::string>> nft_tables(std::uint8_t family);

/// Whether the failure is that of a kernel without nftables.
[[nodiscard]] bool has_no_nftables(const Error& error);

}  // namespace cloud
