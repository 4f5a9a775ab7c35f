// SPDX-License-Identifier: Apache-2.0
//
// Runs in a virtual machine as the job's user, over ssh, from the machine's seed disk. The host
// side is `exec /run/spank-cloud/guest run TOKEN`: replaced by it, the login shell does not stand
// between the terminal and the task.
//
//   guest put            reads a request (core/machine/guest_request.hpp), prints a token of it
//   guest run TOKEN      runs its task, ends as the task has ended
//   guest signal TOKEN N sends signal N to the task's process group
//   guest status TOKEN   "exited 7", "signalled 9", "waiting", "running" or "lost"; what has ended
//   is
//                        forgotten then
//
// Ends with 0, or the task's status, or 125 and the reason where it could not do it.
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "backends/kvm/guest/task.hpp"
#include "backends/kvm/guest/task_files.hpp"
#include "core/machine/guest_request.hpp"

namespace {

constexpr int kFailed = 125;

int fail(const cloud::Error& error) {
  std::fprintf(stderr, "spank_cloud: error: %s\n", error.message.c_str());
  return kFailed;
}

int put() {
  const auto bytes = cloud::read_all(STDIN_FILENO, cloud::kGuestRequestMax);
  if (!bytes) return fail(bytes.error());
  if (const auto request = cloud::parse_guest_request(*bytes); !request) {
    return fail(request.error());
  }
  const auto files = cloud::TaskFiles::make();
  if (!files) return fail(files.error());
  if (const auto written = files->write_request(*bytes); !written) return fail(written.error());
  return std::printf("%s\n", files->token().c_str()) > 0 && std::fflush(stdout) == 0 ? 0 : kFailed;
}

int run(std::string_view token) {
  auto files = cloud::TaskFiles::find(token);
  if (!files) return fail(files.error());
  const auto status = cloud::run_task(*files);
  return status ? *status : fail(status.error());
}

int send_signal(std::string_view token, std::string_view text) {
  int number = 0;
  const auto* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || last != end || number < 1 || number >= NSIG) {
    return fail({cloud::Blame::user, "no signal has the number '" + std::string{text} + "'"});
  }
  const auto files = cloud::TaskFiles::find(token);
  if (!files) return fail(files.error());
  const auto sent = files->send(number);
  return sent ? 0 : fail(sent.error());
}

int status(std::string_view token) {
  const auto files = cloud::TaskFiles::find(token);
  if (!files) return fail(files.error());
  const auto text = files->status();
  if (!text) return fail(text.error());
  std::printf("%s\n", text->c_str());
  if (*text != "waiting" && *text != "running") files->remove();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "put" && argc == 2) return put();
  if (verb == "run" && argc == 3) return run(argv[2]);
  if (verb == "signal" && argc == 4) return send_signal(argv[2], argv[3]);
  if (verb == "status" && argc == 3) return status(argv[2]);
  std::fprintf(stderr, "usage: guest put | run TOKEN | signal TOKEN NUMBER | status TOKEN\n");
  return kFailed;
}
