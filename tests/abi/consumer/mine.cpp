// SPDX-License-Identifier: Apache-2.0
#include <spank-cloud/backend.hpp>

namespace {

using namespace cloud::sdk;

constexpr cloud_option kOptions[] = {{"colour", CLOUD_STRING, 0, "red", "The colour of machines."}};

struct Mine {
  Mine(Host, Settings) {}
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

CLOUD_BACKEND(Mine, "mine", "3.2.1", 0, kOptions);
