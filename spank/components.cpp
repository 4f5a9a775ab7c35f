// SPDX-License-Identifier: Apache-2.0
#include "spank/components.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

namespace cloud::spank {
namespace {

constexpr const char* kComponents = "SLURM_CLOUD_COMPONENTS";  ///< "01": only the second asks
// Slurm's own, of the job of the first component; the ids of components follow each other. The
// first is in steps of salloc and sbatch, the others in what srun makes by itself. (What a plugin
// sets in srun once it knows a job's id is no use: Slurm calls it for one component, any.)
constexpr std::array kFirstJob{"SLURM_JOB_ID_HET_GROUP_0", "SLURM_JOB_ID_PACK_GROUP_0",
                               "SLURM_JOB_ID"};

bool is_in_allocation() {
  return std::getenv("SLURM_JOB_ID") != nullptr;
}

std::string task_variable(spank_t spank, const char* name) {
  std::array<char, 256> value{};
  if (spank_getenv(spank, name, value.data(), value.size() - 1) != ESPANK_SUCCESS) return {};
  return value.data();
}

std::uint32_t number(std::string_view text) {
  std::uint32_t value = 0;
  const auto end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  return parsed.ec == std::errc{} && parsed.ptr == end ? value : 0;
}

}  // namespace

void tell_components(const Components& components) {
  // A step inside an allocation has the groups that it names, and not the job's components.
  if (components.size() < 2 || is_in_allocation()) return;
  std::string marks;
  for (const bool asks : components) marks += asks ? '1' : '0';
  ::setenv(kComponents, marks.c_str(), 1);
}

bool is_heterogeneous(spank_t spank) {
  return !task_variable(spank, kComponents).empty();
}

bool is_component_without_machine(spank_t spank, std::uint32_t job_id) {
  const auto marks = task_variable(spank, kComponents);
  std::uint32_t first = 0;
  for (const auto* name : kFirstJob) {
    if (first == 0) first = number(task_variable(spank, name));
  }
  if (first == 0 || job_id < first || job_id - first >= marks.size()) return false;
  return marks[job_id - first] == '0';
}

}  // namespace cloud::spank
