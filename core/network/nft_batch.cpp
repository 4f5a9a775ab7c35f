// SPDX-License-Identifier: Apache-2.0
#include "core/network/nft_batch.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnftnl/batch.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <spank-cloud/base/uninterrupted.hpp>

namespace cloud {
namespace {

constexpr std::uint32_t kRegister = NFT_REG_1;
// "ipv4_addr" of nft(8), which asks for it to show a set.
constexpr std::uint32_t kTypeOfIpv4 = 7;

struct CloseSocket {
  void operator()(mnl_socket* socket) const { ::mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

// The kernel answers at once, but for a module that it has to load first.
Result<Socket> open_netfilter() {
  constexpr timeval kPatience{10, 0};
  Socket socket{::mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC)};
  // Beyond what an ordinary socket may have: a pool may be in many pieces.
  constexpr int kBuffer = 4 << 20;
  if (socket) {
    for (const int which : {SO_SNDBUFFORCE, SO_RCVBUFFORCE}) {
      ::setsockopt(::mnl_socket_get_fd(socket.get()), SOL_SOCKET, which, &kBuffer, sizeof kBuffer);
    }
  }
  if (!socket || ::mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0 ||
      ::setsockopt(::mnl_socket_get_fd(socket.get()), SOL_SOCKET, SO_RCVTIMEO, &kPatience,
                   sizeof kPatience) != 0) {
    return os_error(Blame::node, "open a socket of nftables", errno);
  }
  return socket;
}

Error failed(int number) {
  return os_error(Blame::node, "nftables (does this kernel have nf_tables with netdev and fib?)",
                  number);
}

// An attribute of an expression, each of which knows only these two kinds.
void set_u32(nftnl_expr* expression, std::uint16_t attribute, std::uint32_t value) {
  ::nftnl_expr_set_u32(expression, attribute, value);
}

}  // namespace

// ---- rules

void NftRule::Free::operator()(nftnl_rule* rule) const {
  ::nftnl_rule_free(rule);
}

NftRule::NftRule() : rule_{::nftnl_rule_alloc()} {}
NftRule::~NftRule() = default;
NftRule::NftRule(NftRule&&) noexcept = default;

NftRule& NftRule::payload(std::uint32_t base, std::uint32_t offset, std::uint32_t size) {
  auto* expression = ::nftnl_expr_alloc("payload");
  set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE, base);
  set_u32(expression, NFTNL_EXPR_PAYLOAD_DREG, kRegister);
  set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, size);
  ::nftnl_rule_add_expr(rule_.get(), expression);
  return *this;
}

NftRule& NftRule::link(std::uint32_t offset, std::uint32_t size) {
  return payload(NFT_PAYLOAD_LL_HEADER, offset, size);
}
NftRule& NftRule::network(std::uint32_t offset, std::uint32_t size) {
  return payload(NFT_PAYLOAD_NETWORK_HEADER, offset, size);
}
NftRule& NftRule::transport(std::uint32_t offset, std::uint32_t size) {
  return payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset, size);
}

NftRule& NftRule::protocol() {
  return meta(NFT_META_L4PROTO);
}

NftRule& NftRule::mark() {
  return meta(NFT_META_MARK);
}

NftRule& NftRule::came_in_by(const std::string& interface) {
  std::vector<std::uint8_t> name(IFNAMSIZ, 0);
  std::copy_n(interface.begin(), std::min<std::size_t>(interface.size(), IFNAMSIZ - 1),
              name.begin());
  return meta(NFT_META_IIFNAME).is(name);
}

NftRule& NftRule::set_mark(std::uint32_t value) {
  auto* number = ::nftnl_expr_alloc("immediate");
  set_u32(number, NFTNL_EXPR_IMM_DREG, kRegister);
  ::nftnl_expr_set(number, NFTNL_EXPR_IMM_DATA, &value, sizeof value);
  ::nftnl_rule_add_expr(rule_.get(), number);
  auto* expression = ::nftnl_expr_alloc("meta");
  set_u32(expression, NFTNL_EXPR_META_KEY, NFT_META_MARK);
  set_u32(expression, NFTNL_EXPR_META_SREG, kRegister);
  ::nftnl_rule_add_expr(rule_.get(), expression);
  return *this;
}

NftRule& NftRule::meta(std::uint32_t key) {
  auto* expression = ::nftnl_expr_alloc("meta");
  set_u32(expression, NFTNL_EXPR_META_KEY, key);
  set_u32(expression, NFTNL_EXPR_META_DREG, kRegister);
  ::nftnl_rule_add_expr(rule_.get(), expression);
  return *this;
}

NftRule& NftRule::destination_type() {
  auto* expression = ::nftnl_expr_alloc("fib");
  set_u32(expression, NFTNL_EXPR_FIB_DREG, kRegister);
  set_u32(expression, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
  set_u32(expression, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
  ::nftnl_rule_add_expr(rule_.get(), expression);
  return *this;
}

NftRule& NftRule::masked(const std::vector<std::uint8_t>& mask) {
  const std::vector<std::uint8_t> unchanged(mask.size(), 0);
  const auto size = static_cast<std::uint32_t>(mask.size());
  auto* expression = ::nftnl_expr_alloc("bitwise");
  set_u32(expression, NFTNL_EXPR_BITWISE_SREG, kRegister);
  set_u32(expression, NFTNL_EXPR_BITWISE_DREG, kRegister);
  set_u32(expression, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  set_u32(expression, NFTNL_EXPR_BITWISE_LEN, size);
  ::nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_MASK, mask.data(), size);
  ::nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_XOR, unchanged.data(), size);
  ::nftnl_rule_add_expr(rule_.get(), expression);
  return *this;
}

NftRule& NftRule::compare(std::uint32_t operation, const std::vector<std::uint8_t>& value) {
  auto* expression = ::nftnl_expr_alloc("cmp");
  set_u32(expression, NFTNL_EXPR_CMP_SREG, kRegister);
  set_u32(expression, NFTNL_EXPR_CMP_OP, operation);
  ::nftnl_expr_set(expression, NFTNL_EXPR_CMP_DATA, value.data(),
                   static_cast<std::uint32_t>(value.size()));
  ::nftnl_rule_add_expr(rule_.get(), expression);
  return *this;
}

NftRule& NftRule::is_in(const std::string& set) {
  auto* expression = ::nftnl_expr_alloc("lookup");
  set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, kRegister);
  ::nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  ::nftnl_rule_add_expr(rule_.get(), expression);
  return *this;
}

NftRule&& NftRule::end(int verdict, const std::string& chain) && {
  auto* expression = ::nftnl_expr_alloc("immediate");
  set_u32(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  set_u32(expression, NFTNL_EXPR_IMM_VERDICT, static_cast<std::uint32_t>(verdict));
  if (!chain.empty()) ::nftnl_expr_set_str(expression, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
  ::nftnl_rule_add_expr(rule_.get(), expression);
  return std::move(*this);
}

// ---- batches

struct NftBatch::Impl {
  // A page holds many messages; a message that does not fit goes to the next one.
  static constexpr std::uint32_t kPage = 32768;
  static constexpr std::uint32_t kLongest = 8192;

  nftnl_batch* batch = ::nftnl_batch_alloc(kPage, kLongest);
  std::uint32_t sequence = 1;
  std::uint32_t messages = 0;  ///< that the kernel acknowledges

  Impl() {
    ::nftnl_batch_begin(here(), sequence++);
    ::nftnl_batch_update(batch);
  }
  ~Impl() { ::nftnl_batch_free(batch); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] char* here() const { return static_cast<char*>(::nftnl_batch_buffer(batch)); }

  void message(const NftTable& table, std::uint16_t type, std::uint16_t flags,
               const std::function<void(nlmsghdr*)>& build) {
    auto* header = ::nftnl_nlmsg_build_hdr(
        here(), type, table.family, static_cast<std::uint16_t>(flags | NLM_F_ACK), sequence++);
    build(header);
    ++messages;
    ::nftnl_batch_update(batch);
  }
};

NftBatch::NftBatch() : impl_{std::make_unique<Impl>()} {}
NftBatch::~NftBatch() = default;

namespace {

using Table = std::unique_ptr<nftnl_table, void (*)(const nftnl_table*)>;
using Chain = std::unique_ptr<nftnl_chain, void (*)(const nftnl_chain*)>;
using Set = std::unique_ptr<nftnl_set, void (*)(const nftnl_set*)>;

Table table_of(const NftTable& named) {
  Table table{::nftnl_table_alloc(), ::nftnl_table_free};
  ::nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, named.name.c_str());
  return table;
}

Chain chain_of(const NftTable& table, const std::string& name) {
  Chain chain{::nftnl_chain_alloc(), ::nftnl_chain_free};
  ::nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, table.name.c_str());
  ::nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name.c_str());
  return chain;
}

Set set_of(const NftTable& table, const std::string& name) {
  Set set{::nftnl_set_alloc(), ::nftnl_set_free};
  ::nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, table.name.c_str());
  ::nftnl_set_set_str(set.get(), NFTNL_SET_NAME, name.c_str());
  return set;
}

void add_element(nftnl_set* set, std::uint32_t address, std::uint32_t flags) {
  const auto key = htonl(address);
  auto* element = ::nftnl_set_elem_alloc();
  ::nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, &key, sizeof key);
  if (flags != 0) ::nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS, flags);
  ::nftnl_set_elem_add(set, element);
}

}  // namespace

void NftBatch::add_table(const NftTable& table) {
  const auto made = table_of(table);
  impl_->message(table, NFT_MSG_NEWTABLE, NLM_F_CREATE,
                 [&](nlmsghdr* header) { ::nftnl_table_nlmsg_build_payload(header, made.get()); });
}

void NftBatch::delete_table(const NftTable& table) {
  const auto gone = table_of(table);
  impl_->message(table, NFT_MSG_DELTABLE, 0,
                 [&](nlmsghdr* header) { ::nftnl_table_nlmsg_build_payload(header, gone.get()); });
}

void NftBatch::add_set(const NftTable& table, const std::string& name,
                       const std::vector<AddressRun>& runs) {
  const auto set = set_of(table, name);
  ::nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, table.family);
  ::nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, NFT_SET_INTERVAL);
  ::nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, kTypeOfIpv4);
  ::nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, sizeof(in_addr));
  ::nftnl_set_set_u32(set.get(), NFTNL_SET_ID, 1);
  impl_->message(table, NFT_MSG_NEWSET, NLM_F_CREATE,
                 [&](nlmsghdr* header) { ::nftnl_set_nlmsg_build_payload(header, set.get()); });
  fill_set(table, name, runs);
}

void NftBatch::fill_set(const NftTable& table, const std::string& name,
                        const std::vector<AddressRun>& runs) {
  // So many as fit into one message.
  constexpr std::size_t kPortion = 64;
  for (std::size_t first = 0; first < runs.size(); first += kPortion) {
    const auto set = set_of(table, name);
    for (auto i = first; i < std::min(first + kPortion, runs.size()); ++i) {
      add_element(set.get(), runs[i].first, 0);
      // The first that is not in it any more.
      add_element(set.get(), runs[i].last + 1, NFT_SET_ELEM_INTERVAL_END);
    }
    impl_->message(table, NFT_MSG_NEWSETELEM, NLM_F_CREATE, [&](nlmsghdr* header) {
      ::nftnl_set_elems_nlmsg_build_payload(header, set.get());
    });
  }
}

void NftBatch::empty_set(const NftTable& table, const std::string& name) {
  const auto set = set_of(table, name);
  impl_->message(table, NFT_MSG_DELSETELEM, 0, [&](nlmsghdr* header) {
    ::nftnl_set_elems_nlmsg_build_payload(header, set.get());
  });
}

void NftBatch::add_chain(const NftTable& table, const std::string& name) {
  const auto chain = chain_of(table, name);
  impl_->message(table, NFT_MSG_NEWCHAIN, NLM_F_CREATE,
                 [&](nlmsghdr* header) { ::nftnl_chain_nlmsg_build_payload(header, chain.get()); });
}

void NftBatch::add_base_chain(const NftTable& table, const std::string& name, std::uint32_t hook,
                              std::int32_t priority, std::uint32_t policy,
                              const std::string& interface) {
  const auto chain = chain_of(table, name);
  ::nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, "filter");
  ::nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, hook);
  ::nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, priority);
  ::nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, policy);
  if (!interface.empty()) {
    ::nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_DEV, interface.c_str());
  }
  impl_->message(table, NFT_MSG_NEWCHAIN, NLM_F_CREATE,
                 [&](nlmsghdr* header) { ::nftnl_chain_nlmsg_build_payload(header, chain.get()); });
}

void NftBatch::add_rule(const NftTable& table, const std::string& chain, NftRule rule) {
  auto* own = rule.rule_.get();
  ::nftnl_rule_set_str(own, NFTNL_RULE_TABLE, table.name.c_str());
  ::nftnl_rule_set_str(own, NFTNL_RULE_CHAIN, chain.c_str());
  impl_->message(table, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
                 [&](nlmsghdr* header) { ::nftnl_rule_nlmsg_build_payload(header, own); });
}

Result<void> NftBatch::commit() {
  auto socket = open_netfilter();
  if (!socket) return std::move(socket).error();
  ::nftnl_batch_end(impl_->here(), impl_->sequence++);
  ::nftnl_batch_update(impl_->batch);
  std::vector<iovec> pages(static_cast<std::size_t>(::nftnl_batch_iovec_len(impl_->batch)));
  ::nftnl_batch_iovec(impl_->batch, pages.data(), static_cast<std::uint32_t>(pages.size()));
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  msghdr message{};
  message.msg_name = &kernel;
  message.msg_namelen = sizeof kernel;
  message.msg_iov = pages.data();
  message.msg_iovlen = pages.size();
  const int fd = ::mnl_socket_get_fd(socket->get());
  if (uninterrupted([&] { return ::sendmsg(fd, &message, 0); }) < 0) return failed(errno);
  // One answer for each; where one fails, none is in force.
  std::array<char, 8192> buffer{};
  for (std::uint32_t answered = 0; answered < impl_->messages;) {
    const auto size = uninterrupted([&] { return ::recv(fd, buffer.data(), buffer.size(), 0); });
    if (size < 0) return failed(errno);
    auto left = static_cast<int>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); ::mnl_nlmsg_ok(header, left);
         header = ::mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_type != NLMSG_ERROR) continue;
      const auto* answer = static_cast<const nlmsgerr*>(::mnl_nlmsg_get_payload(header));
      if (answer->error != 0) return failed(-answer->error);
      ++answered;
    }
  }
  return {};
}

namespace {

// Once through; EINTR where they changed meanwhile.
Result<std::vector<std::string>> list_tables(std::uint8_t family) {
  std::vector<std::string> names;
  auto socket = open_netfilter();
  if (!socket) return std::move(socket).error();
  std::array<char, 16384> buffer{};
  const auto* request =
      ::nftnl_nlmsg_build_hdr(buffer.data(), NFT_MSG_GETTABLE, family, NLM_F_DUMP, 1);
  if (::mnl_socket_sendto(socket->get(), request, request->nlmsg_len) < 0) return failed(errno);
  const auto add = [](const nlmsghdr* header, void* found) {
    const Table table{::nftnl_table_alloc(), ::nftnl_table_free};
    if (::nftnl_table_nlmsg_parse(header, table.get()) == 0) {
      static_cast<std::vector<std::string>*>(found)->emplace_back(
          ::nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME));
    }
    return MNL_CB_OK;
  };
  for (int going = MNL_CB_OK; going > MNL_CB_STOP;) {
    const auto size = uninterrupted(
        [&] { return ::mnl_socket_recvfrom(socket->get(), buffer.data(), buffer.size()); });
    if (size < 0) return failed(errno);
    going = ::mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 1,
                         ::mnl_socket_get_portid(socket->get()), add, &names);
    if (going < 0) return failed(errno);
  }
  return names;
}

}  // namespace

Result<std::vector<std::string>> nft_tables(std::uint8_t family) {
  constexpr int kTries = 20;
  auto names = list_tables(family);
  for (int again = 1; again < kTries && !names && names.error().os_errno == EINTR; ++again) {
    names = list_tables(family);
  }
  if (!names && has_no_nftables(names.error())) return std::vector<std::string>{};
  return names;
}

bool has_no_nftables(const Error& error) {
  return error.os_errno == EOPNOTSUPP || error.os_errno == EPROTONOSUPPORT ||
         error.os_errno == EINVAL;
}

}  // namespace cloud
