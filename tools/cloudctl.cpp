// SPDX-License-Identifier: Apache-2.0
#include "tools/cloudctl.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <map>
#include <string_view>

#include "core/config/site_config.hpp"
#include "tools/installed_programs.hpp"

namespace {

std::string short_hostname() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string name{host.data()};
  return name.substr(0, name.find('.'));
}

constexpr const char* kFooter =
    "\nUsers: enter, console and logs, for jobs of their own, on a node of the job; backend.\n"
    "Root: all of them.\n"
    "`cloudctl COMMAND --help` says more of a command.\n"
    "\n"
    "Exit status: 0; 1 where something is wrong or was not found, with the reason on stderr;\n"
    "100 and above where the command line is wrong. `enter` ends like its command.";

class CommandLine {
 public:
  CommandLine() {
    app_.set_version_flag("--version", CLOUD_VERSION);
    app_.add_option("--config", view_.config_file, "The configuration")->capture_default_str();
    app_.add_option("--node", view_.node, "This node's name in Slurm")
        ->capture_default_str()
        ->envname("SLURMD_NODENAME");
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer(kFooter);
    add_commands_of_users();
    add_commands_of_root();
    add_commands_of_backends();
  }

  int run(int argc, char** argv) {
    // What follows "--" is the user's command, word by word: CLI11 would read some of it.
    char** const end = argv + argc;
    char** const dashes = std::find_if(
        argv + 1, end, [](const char* word) { return std::string_view{word} == "--"; });
    if (dashes != end) command_.assign(dashes + 1, end);
    try {
      app_.parse(static_cast<int>(dashes - argv), argv);
      auto* chosen = app_.get_subcommands().front();
      while (!chosen->get_subcommands().empty()) chosen = chosen->get_subcommands().front();
      if (dashes != end && chosen->get_name() != "enter") {
        throw CLI::ExtrasError(chosen->get_name(), {"--"});
      }
      return actions_.at(chosen)();
    } catch (const CLI::ParseError& problem) {
      return app_.exit(problem);
    }
  }

 private:
  CLI::App* add(const std::string& name, const std::string& description,
                std::function<int()> action) {
    auto* command = app_.add_subcommand(name, description);
    actions_[command] = std::move(action);
    return command;
  }
  CLI::App* add_for_job(const std::string& name, const std::string& description,
                        std::function<int()> action) {
    auto* command = add(name, description, std::move(action));
    command->add_option("JOB", job_id_, "The job's id")->required();
    return command;
  }

  void add_commands_of_users() {
    auto* enter = add_for_job("enter", "Go into the machine of a job: enter JOB [-- COMMAND...]",
                              [this] { return cloud::enter_machine(view_, job_id_, command_); });
    enter->footer(
        "\nRuns COMMAND, by default your shell, in the machine of a job of yours on this node, "
        "with\n"
        "your environment and in this folder. Ends like the command.");
    auto* console = add_for_job("console", "Attach to the console of a job's machine", [this] {
      return log_only_ ? cloud::print_console(view_, job_id_)
                       : cloud::attach_console(view_, job_id_, is_raw_);
    });
    console->add_flag("--log", log_only_, "Print what is kept of what it has printed, and end");
    console->add_flag("--raw", is_raw_,
                      "Also of another's machine: all that it prints, as it is, which may steer "
                      "your terminal");
    console->footer(
        "\nShows the end of what was printed, then goes on. Ctrl-] detaches; the machine goes on.\n"
        "A stdin that is no terminal is sent, and the command ends when the machine has been\n"
        "silent for a second after its end, or after ten.");
    add_for_job("logs", "Print how a job's machine came up", [this] {
      return cloud::show_logs(view_, job_id_);
    })->footer("\nRoot also sees the keeper's log and the output of the site's programs.");
  }

  void add_commands_of_root() {
    add("check", "Find every mistake of the configuration",
        [this] { return cloud::check_configuration(view_.config_file); });
    auto* doctor = add("doctor", "Say what will not work on this node, and how to mend it",
                       [this] { return cloud::examine_node(view_, libexec_); });
    doctor->add_option("--libexec", libexec_, "Where enter, escort, keeper, prolog and epilog are")
        ->capture_default_str();
    doctor->footer(
        "\nA line for each check: `ok`, `note` or `problem`, what it is about, what was found, "
        "and\n"
        "what to do. Changes nothing. Exit status 1 where there is a problem.");
    add("status", "List the jobs that have a machine on this node",
        [this] { return cloud::show_status(view_); });
    auto* trace = add_for_job("trace", "Show where the time of a job's stages went",
                              [this] { return cloud::show_trace(view_, job_id_, format_); });
    const std::map<std::string, cloud::TraceFormat> formats{
        {"table", cloud::TraceFormat::table}, {"perfetto", cloud::TraceFormat::perfetto}};
    trace->add_option("--format", format_, "table, or perfetto: a file for ui.perfetto.dev")
        ->transform(CLI::CheckedTransformer(formats));
    add("reconcile",
        "Clean up after jobs that no longer run here; for the node's start, before slurmd",
        [this] { return cloud::reconcile(view_); })
        ->footer("\nAlso ends machines with a name of this node that no job has a record of.");
  }

  void add_commands_of_backends() {
    auto* backend = app_.add_subcommand("backend", "Say what the site's backends are and take");
    backend->require_subcommand(1);
    backend->fallthrough();
    auto* list = backend->add_subcommand("list", "List them, with what cannot be loaded and why");
    actions_[list] = [this] { return cloud::list_backends(view_); };
    auto* show = backend->add_subcommand("show", "Print a backend's abilities and its options");
    show->add_option("NAME", backend_, "The backend's name")->required();
    show->add_flag("--man", is_manual_,
                   "As a manual page: cloudctl backend show NAME --man | man -l -");
    actions_[show] = [this] {
      const auto format = is_manual_ ? cloud::BackendFormat::man : cloud::BackendFormat::text;
      return cloud::show_backend(view_, backend_, format);
    };
  }

  CLI::App app_{"Looks after the machines of spank-cloud on this node"};
  std::map<const CLI::App*, std::function<int()>> actions_;
  cloud::NodeView view_{cloud::default_config_file(), short_hostname()};
  std::string libexec_ = cloud::default_libexec();
  std::uint64_t job_id_ = 0;
  std::vector<std::string> command_;
  bool log_only_ = false;
  bool is_raw_ = false;
  std::string backend_;
  bool is_manual_ = false;
  cloud::TraceFormat format_ = cloud::TraceFormat::table;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    return CommandLine{}.run(argc, argv);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "cloudctl: internal error: %s\n", problem.what());
  }
  return 1;
}
