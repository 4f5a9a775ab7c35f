// SPDX-License-Identifier: Apache-2.0
//
// A sleeper in a user namespace of its own, which the SDK would not make: it belongs to whom the
// backend says.
#ifndef SPANK_CLOUD_ZOO_OWNED_HPP
#define SPANK_CLOUD_ZOO_OWNED_HPP

#include <array>
#include <spank-cloud/program.hpp>
#include <spank-cloud/user_namespace.hpp>

#include "tests/conformance/zoo/sleeper.hpp"

namespace zoo {

class Owned : public Sleeper {
 public:
  using Sleeper::Sleeper;
  void start(const cloud_machine_spec& spec, Deadline deadline) {
    namespace_ = make_namespace(owner_of(spec), spec);
    Sleeper::start(spec, deadline);
  }

 protected:
  virtual std::uint32_t owner_of(const cloud_machine_spec& spec) const = 0;
  void become(const cloud_machine_spec& /*unused*/) override {
    using cloud::sdk::ProgramIdentity;
    if (!cloud::sdk::detail::take_identity(ProgramIdentity::root_of(namespace_.value())))
      ::_exit(1);
  }

 private:
  static cloud::sdk::Descriptor make_namespace(std::uint32_t owner,
                                               const cloud_machine_spec& spec) {
    namespace detail = cloud::sdk::detail;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Failure{CLOUD_E_NODE, "pipe", errno};
    const cloud::sdk::Descriptor answer{ends[0]};
    const cloud::sdk::Descriptor say{ends[1]};
    const pid_t holder = ::fork();
    if (holder == 0) detail::hold_user_namespace(owner, 0, ends[1]);
    int problem = 0;
    if (::read(ends[0], &problem, sizeof problem) != static_cast<ssize_t>(sizeof problem))
      problem = EIO;
    const auto map = cloud::sdk::make_id_map({}, spec.subid_first);
    detail::write_id_map(holder, "uid_map", map);
    detail::write_id_map(holder, "gid_map", map);
    const auto path = "/proc/" + std::to_string(holder) + "/ns/user";
    cloud::sdk::Descriptor made{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    ::kill(holder, SIGKILL);
    ::waitpid(holder, nullptr, 0);
    if (problem != 0 || !made) throw Failure{CLOUD_E_NODE, "make a user namespace", problem};
    return made;
  }

  cloud::sdk::Descriptor namespace_;
};

}  // namespace zoo

#endif
