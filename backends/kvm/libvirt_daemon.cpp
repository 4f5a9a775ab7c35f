// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/libvirt_daemon.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <spank-cloud/bounded_call.hpp>
#include <sstream>
#include <thread>

#include "backends/kvm/domain_xml.hpp"

namespace cloud::kvm {
namespace {

using sdk::Deadline;
using sdk::Failure;

// To reach a daemon that is just being restarted, 250 ms apart. A clean-up can do without it.
constexpr int kPatient = 20;
constexpr int kHasty = 2;

using Connection = std::unique_ptr<virConnect, int (*)(virConnect*)>;
using Domain = std::unique_ptr<virDomain, int (*)(virDomain*)>;
using Text = std::unique_ptr<char, void (*)(void*)>;

std::string last_words() {
  const auto* error = virGetLastError();
  return error == nullptr || error->message == nullptr ? "no reason given" : error->message;
}

Failure failure(std::int32_t code, const std::string& what) {
  return Failure{code, what + ": " + last_words()};
}

Connection connect(const std::string& uri, int attempts) {
  virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
  for (int attempt = 1;; ++attempt) {
    Connection connection{virConnectOpen(uri.c_str()), virConnectClose};
    if (connection) return connection;
    if (attempt == attempts) {
      throw failure(CLOUD_E_NODE, "libvirtd cannot be reached at " + uri);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{250});
  }
}

Domain find(virConnect* connection, const std::string& name) {
  return {virDomainLookupByName(connection, name.c_str()), virDomainFree};
}

enum class Owner { ours, others, gone };

Owner owner_of(virDomain* domain) {
  const Text xml{virDomainGetXMLDesc(domain, 0), std::free};
  if (xml) return job_of_domain(xml.get()) != 0 ? Owner::ours : Owner::others;
  const auto* error = virGetLastError();
  if (error != nullptr && error->code == VIR_ERR_NO_DOMAIN) return Owner::gone;
  throw failure(CLOUD_E_NODE, "look at a domain");
}

Domain find_ours(virConnect* connection, const std::string& name) {
  auto domain = find(connection, name);
  if (!domain) {
    const auto* error = virGetLastError();
    if (error != nullptr && error->code != VIR_ERR_NO_DOMAIN) {
      throw failure(CLOUD_E_NODE, "look for domain " + name);
    }
    return domain;
  }
  const auto owner = owner_of(domain.get());
  // It ended while it was looked at.
  if (owner == Owner::gone) return {nullptr, virDomainFree};
  if (owner == Owner::others) {
    throw Failure{CLOUD_E_INTERNAL, "the domain " + name +
                                        " of libvirt does not carry our mark: it "
                                        "was left alone"};
  }
  return domain;
}

}  // namespace

std::string LibvirtDaemon::ask(const std::string& what,
                               const std::function<std::string(virConnect*)>& question,
                               Deadline deadline, const sdk::Host* host, int attempts) const {
  const auto body = [&] {
    const auto connection = connect(uri_, attempts);
    return question(connection.get());
  };
  return sdk::bounded_call(what, body, deadline, host);
}

std::string LibvirtDaemon::version(Deadline deadline) const {
  return ask(
      "ask libvirtd for its version",
      [](virConnect* connection) {
        unsigned long number = 0;
        if (virConnectGetLibVersion(connection, &number) != 0) {
          throw failure(CLOUD_E_NODE, "ask libvirtd for its version");
        }
        return std::to_string(number / 1000000) + "." + std::to_string(number / 1000 % 1000) + "." +
               std::to_string(number % 1000);
      },
      deadline, nullptr, kHasty);
}

void LibvirtDaemon::create_paused(const NewDomain& wanted, Deadline deadline,
                                  const sdk::Host& host) const {
  ask(
      "start domain " + wanted.name,
      [&](virConnect* connection) -> std::string {
        if (find(connection, wanted.name)) {
          throw Failure{CLOUD_E_NODE, "libvirt has a domain " + wanted.name +
                                          " already, which is left alone: remove it (virsh "
                                          "destroy " +
                                          wanted.name + "; virsh undefine " + wanted.name + ")"};
        }
        if (!std::ofstream{wanted.mark}) {
          throw sdk::system_failure(CLOUD_E_NODE, "write " + wanted.mark, errno);
        }
        const Domain made{
            virDomainCreateXML(connection, wanted.xml.c_str(), VIR_DOMAIN_START_PAUSED),
            virDomainFree};
        const auto* error = virGetLastError();
        // A connection that breaks is no answer.
        if (made || error == nullptr || error->domain != VIR_FROM_RPC) {
          ::unlink(wanted.mark.c_str());
        }
        if (!made) throw failure(CLOUD_E_NODE, "libvirt could not start the machine");
        return {};
      },
      deadline, &host, kPatient);
}

void LibvirtDaemon::resume(const std::string& name, Deadline deadline,
                           const sdk::Host& host) const {
  ask(
      "let domain " + name + " run",
      [&](virConnect* connection) -> std::string {
        const auto domain = find(connection, name);
        if (!domain || virDomainResume(domain.get()) != 0) {
          throw failure(CLOUD_E_NODE, "let domain " + name + " run");
        }
        return {};
      },
      deadline, &host, kPatient);
}

bool LibvirtDaemon::shut_down(const std::string& name, Deadline deadline,
                              const sdk::Host& host) const {
  return ask(
             "shut down domain " + name,
             [&](virConnect* connection) -> std::string {
               const auto domain = find_ours(connection, name);
               if (!domain) return "absent";
               if (virDomainShutdownFlags(domain.get(), VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) != 0) {
                 throw failure(CLOUD_E_NODE, "shut down domain " + name);
               }
               return "asked";
             },
             deadline, &host, kHasty) == "asked";
}

bool LibvirtDaemon::destroy(const std::string& name, Deadline deadline) const {
  return ask(
             "destroy domain " + name,
             [&](virConnect* connection) -> std::string {
               const auto domain = find_ours(connection, name);
               if (!domain) return "absent";
               if (virDomainDestroy(domain.get()) != 0) {
                 const auto* error = virGetLastError();
                 // It has ended in between, and with it, being transient, its definition.
                 if (error != nullptr && error->code != VIR_ERR_NO_DOMAIN &&
                     error->code != VIR_ERR_OPERATION_INVALID) {
                   throw failure(CLOUD_E_NODE, "destroy domain " + name);
                 }
               }
               return "destroyed";
             },
             deadline, nullptr, kHasty) == "destroyed";
}

std::vector<std::string> LibvirtDaemon::list(const std::vector<std::string>& remembered,
                                             Deadline deadline) const {
  const auto text = ask(
      "list the domains",
      [&](virConnect* connection) {
        virDomainPtr* domains = nullptr;
        const int count = virConnectListAllDomains(connection, &domains, 0);
        if (count < 0) throw failure(CLOUD_E_NODE, "list the domains of libvirt");
        std::string names;
        std::set<std::string> known;
        for (int i = 0; i < count; ++i) {
          const Domain domain{domains[i], virDomainFree};
          const std::string name = virDomainGetName(domain.get());
          known.insert(name);
          if (owner_of(domain.get()) == Owner::ours) names += name + "\n";
        }
        std::free(domains);
        for (const auto& name : remembered) {
          if (!known.contains(name)) names += name + "\n";
        }
        return names;
      },
      deadline, nullptr, kHasty);
  std::vector<std::string> names;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    if (std::find(names.begin(), names.end(), line) == names.end()) names.push_back(line);
  }
  return names;
}

}  // namespace cloud::kvm
