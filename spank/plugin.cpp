// SPDX-License-Identifier: Apache-2.0
//
// The C callbacks that Slurm calls. No exception leaves one of them: srun would abort.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

extern "C" {
#include <slurm/spank.h>
// SPANK_PLUGIN defines const objects, which have internal linkage in C++ unless declared before.
extern const char plugin_name[];
extern const char plugin_type[];
extern const unsigned int plugin_version;
extern const unsigned int spank_plugin_version;
SPANK_PLUGIN(cloud, 1)
}

#include "spank/components.hpp"
#include "spank/options.hpp"
#include "spank/remote.hpp"
#include "spank/site_summary.hpp"

namespace {

using namespace cloud;
using namespace cloud::spank;

struct Plugin {
  Installation installation{CLOUD_SYSCONFDIR "/spank-cloud/cloud.toml", CLOUD_RUN_DIR,
                            CLOUD_LIBEXECDIR};
  SiteSummary site;
  Options options;
  std::string types_text;   ///< outlives the registered options
  bool wraps_task = false;  ///< srun only: the (first) task's program becomes `enter`
  Components components;    ///< of a heterogeneous job: which ask for a machine
};

Plugin& plugin() {
  static auto& instance = *new Plugin;
  return instance;
}

template <typename Body>
int guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::exception& problem) {
    slurm_error("spank_cloud: internal error: %s", problem.what());
    return -1;
  }
}

int on_option(int value, const char* argument, int remote) noexcept {
  return guarded([&] {
    const auto option = static_cast<Option>(value);
    auto set = plugin().options.set(option, argument == nullptr ? "" : argument);
    if (set) return 0;
    // On the node the prolog has judged the value already.
    if (remote == 0) slurm_error("spank_cloud: %s", set.error().message.c_str());
    return -1;
  });
}

void read_arguments(int ac, char** av) {
  auto& where = plugin().installation;
  for (int i = 0; i < ac; ++i) {
    const std::string_view argument{av[i]};
    const auto equals = argument.find('=');
    const auto key = argument.substr(0, equals);
    const auto value = equals == std::string_view::npos ? "" : argument.substr(equals + 1);
    if (key == "config") {
      where.config = value;
    } else if (key == "run_dir") {
      where.run_dir = value;
    } else if (key == "libexec") {
      where.libexec = value;
    } else {
      slurm_error(
          "spank_cloud: unknown argument '%s' in plugstack.conf (config=, run_dir=, libexec=)",
          av[i]);
    }
  }
}

int register_options(spank_t spank) {
  auto& types = plugin().types_text;
  for (const auto& type : plugin().site.types) types += (types.empty() ? "[" : "|") + type;
  types += types.empty() ? "TYPE" : "]";
  static std::string type_help;
  type_help = "Give each node of the job a machine of this type, sized to the job";
  if (!plugin().site.default_type.empty()) {
    type_help +=
        " (default where another --cloud option is given: " + plugin().site.default_type + ")";
  }
  const struct {
    Option option;
    const char* argument;
    const char* help;
  } kOptions[] = {
      {Option::cloud, types.c_str(), "Short for --cloud-type and --cloud-create=yes"},
      {Option::create, "<yes>", "Make the machine (yes or no)"},
      {Option::type, types.c_str(), type_help.c_str()},
      {Option::image, "NAME", "Image of the site's catalogue to start the machine from"},
      {Option::run, "steps|all|host",
       "What runs inside: the steps that srun starts (steps), the batch script too (all), or "
       "nothing "
       "(host)"},
      {Option::mount, "SRC[:DST][:ro]",
       "Folder or file of the host to see in the machine; several are separated by ','"},
      {Option::ready, "boot|ssh|cloud-init", "What the tasks of a virtual machine wait for"},
      {Option::timeout, "TIME", "How long the machine may take to become ready, such as 90s or 5m"},
      {Option::user_data, "FILE", "cloud-init user-data for the machine, beside the site's"},
  };
  for (const auto& wanted : kOptions) {
    spank_option option{};
    option.name = const_cast<char*>(option_name(wanted.option).data());
    option.arginfo = const_cast<char*>(wanted.argument);
    option.usage = const_cast<char*>(wanted.help);
    option.has_arg = 1;
    option.val = static_cast<int>(wanted.option);
    option.cb = on_option;
    if (spank_option_register(spank, &option) != ESPANK_SUCCESS) {
      slurm_error("spank_cloud: cannot register --%s", option.name);
    }
  }
  return 0;
}

bool is_client(spank_context_t context) {
  return context == S_CTX_LOCAL || context == S_CTX_ALLOCATOR;
}

// SBATCH_CLOUD_TYPE and so on, each for its own command, as Slurm's own variables.
Result<void> read_environment(spank_context_t context) {
  std::string prefix = "SLURM_";
  if (context == S_CTX_ALLOCATOR) {
    prefix = std::string_view{program_invocation_short_name} == "salloc" ? "SALLOC_" : "SBATCH_";
  }
  for (const auto option : kAllOptions) {
    const auto name = prefix + std::string{environment_name(option)};
    const char* value = std::getenv(name.c_str());
    // Also one that was emptied is not set: there is no empty value.
    if (value == nullptr || *value == '\0') continue;
    auto set = plugin().options.set_default(option, value);
    if (!set) return std::move(set).error().within(name);
  }
  return {};
}

// srun --cloud-type makes a job of its own, and inside an allocation a step of the job.
int hand_to_prolog(spank_t spank, const Request& request) {
  auto& options = plugin().options;
  for (const auto option : kAllOptions) {
    const auto& value = options.value(option);
    const std::string name{variable_name(option)};
    if (!value) {
      // Of the component before this one.
      spank_job_control_unsetenv(spank, name.c_str());
      continue;
    }
    if (spank_job_control_setenv(spank, name.c_str(), value->c_str(), 1) != ESPANK_SUCCESS) {
      slurm_error("spank_cloud: Slurm does not take SPANK_%s for the prolog", name.c_str());
      return -1;
    }
  }
  if (plugin().components.empty()) plugin().wraps_task = request.run != RunMode::host;
  return 0;
}

int complete_options(spank_t spank, spank_context_t context) {
  auto& self = plugin();
  auto problem = read_environment(context);
  if (!problem) {
    slurm_error("spank_cloud: %s", problem.error().message.c_str());
    return -1;
  }
  if (!self.options.any()) {
    self.components.push_back(false);
    return 0;
  }
  if (!self.site.problem.empty()) {
    slurm_error("spank_cloud: --cloud* cannot be used: %s", self.site.problem.c_str());
    return -1;
  }
  auto request = self.options.complete(self.site);
  if (!request) {
    slurm_error("spank_cloud: %s", request.error().message.c_str());
    return -1;
  }
  int status = 0;
  if (*request) {
    status = hand_to_prolog(spank, **request);
  } else {
    for (const auto option : kAllOptions) {
      spank_job_control_unsetenv(spank, std::string{variable_name(option)}.c_str());
    }
  }
  self.components.push_back(request->has_value());
  self.options.begin_component();
  return status;
}

bool is_extern_step(spank_t spank) {
  constexpr std::uint32_t kExternStep = 0xfffffffc;
  std::uint32_t step_id = 0;
  return spank_get_item(spank, S_JOB_STEPID, &step_id) == ESPANK_SUCCESS && step_id == kExternStep;
}

}  // namespace

extern "C" {

int slurm_spank_init(spank_t spank, int ac, char** av) {
  return guarded([&] {
    const auto context = spank_context();
    if (context != S_CTX_LOCAL && context != S_CTX_ALLOCATOR && context != S_CTX_REMOTE) return 0;
    read_arguments(ac, av);
    if (is_client(context)) plugin().site = read_site_summary(plugin().installation.config);
    return register_options(spank);
  });
}

int slurm_spank_init_post_opt(spank_t spank, int, char**) {
  return guarded([&] {
    const auto context = spank_context();
    if (!is_client(context)) return 0;
    const int status = complete_options(spank, context);
    // An optional plugin's failure here is logged only: the job would go on without its machine.
    if (status != 0) ::_exit(255);
    // Called once for each component of a heterogeneous job.
    tell_components(plugin().components);
    return status;
  });
}

// A node without this plugin would run the task on the bare host. It runs what srun sends it,
// though: `enter`, which such a node does not have or which finds that nobody has told it where to
// go.
int slurm_spank_local_user_init(spank_t spank, int, char**) {
  return guarded([&] {
    if (spank_context() != S_CTX_LOCAL) return 0;
    if (plugin().wraps_task) wrap_task(spank, plugin().installation);
    return 0;
  });
}

int slurm_spank_task_post_fork(spank_t spank, int, char**) {
  return guarded([&] {
    if (spank_context() == S_CTX_REMOTE && is_extern_step(spank)) {
      start_keeper(spank, plugin().installation);
    }
    return 0;
  });
}

int slurm_spank_task_init_privileged(spank_t spank, int, char**) {
  return guarded([&] {
    if (spank_context() == S_CTX_REMOTE && !is_extern_step(spank)) {
      start_escort(spank, plugin().installation, plugin().options);
    }
    return 0;
  });
}

int slurm_spank_task_init(spank_t spank, int, char**) {
  const int status = guarded([&] {
    if (spank_context() == S_CTX_REMOTE) {
      place_task(spank, plugin().installation, plugin().options);
    }
    return 0;
  });
  // An optional plugin's failure is logged only: the task would run on the bare host.
  if (status != 0) ::_exit(kNotStarted);
  return status;
}

}  // extern "C"
