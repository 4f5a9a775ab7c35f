// SPDX-License-Identifier: Apache-2.0
#include "backends/kvm/host_cpus.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>

namespace cloud::kvm {

std::vector<NumaNode> numa_nodes_of(const std::vector<std::uint32_t>& cpus) {
  namespace fs = std::filesystem;
  std::map<std::uint32_t, std::vector<std::uint32_t>> all;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator{"/sys/devices/system/node", problem}) {
    const auto name = entry.path().filename().string();
    std::uint32_t id = 0;
    if (name.rfind("node", 0) != 0) continue;
    const auto parsed = std::from_chars(name.data() + 4, name.data() + name.size(), id);
    if (parsed.ec != std::errc{} || parsed.ptr != name.data() + name.size()) continue;
    std::string list;
    std::ifstream{entry.path() / "cpulist"} >> list;
    all[id] = parse_cpu_list(list);
  }
  std::vector<NumaNode> nodes;
  std::vector<std::uint32_t> left = cpus;
  for (const auto& [id, of_node] : all) {
    NumaNode node{id, {}};
    for (const auto cpu : of_node) {
      const auto found = std::find(left.begin(), left.end(), cpu);
      if (found == left.end()) continue;
      node.cpus.push_back(cpu);
      left.erase(found);
    }
    if (!node.cpus.empty()) nodes.push_back(std::move(node));
  }
  if (!left.empty()) nodes.push_back({0, left});
  return nodes;
}

}  // namespace cloud::kvm
