// SPDX-License-Identifier: Apache-2.0
//
// A backend that takes no settings.
#include <spank-cloud/backend.hpp>

namespace {

using namespace cloud::sdk;

struct Optionless {
  Optionless(Host, Settings) {}
  void probe() {}
  void prepare(const cloud_machine_spec&) {}
  void start(const cloud_machine_spec&, Deadline) {}
  void wait_ready(const cloud_machine_ref&, Deadline, const Progress&) {}
  void info(const cloud_machine_ref&, cloud_machine_info&) {}
  void stop(const cloud_machine_ref&, Deadline) {}
  void destroy(const cloud_machine_ref&, Deadline) {}
  void list(const std::function<void(const std::string&)>&) {}
};

}  // namespace

CLOUD_BACKEND(Optionless, "optionless", "1", 0, no_options);
