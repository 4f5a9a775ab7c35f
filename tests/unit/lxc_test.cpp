// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <spank-cloud/id_map.hpp>

#include "backends/lxc/container_config.hpp"

namespace cloud::lxc {
namespace {

using sdk::make_id_map;
using sdk::proc_text;
using ::testing::Contains;
using ::testing::Not;
using ::testing::Pair;

constexpr std::uint32_t kFirst = 1879048192;

TEST(IdMap, MapsTheUserToItselfAndAllElseToTheRange) {
  EXPECT_EQ(proc_text(make_id_map({1000}, kFirst)),
            "0 1879048192 1000\n1000 1000 1\n1001 1879049193 64532\n65534 1879113726 1\n");
}

TEST(IdMap, GivesAnIdBeyondTheRangeALineOfItsOwn) {
  EXPECT_EQ(proc_text(make_id_map({70000}, kFirst)),
            "0 1879048192 65533\n65534 1879113726 1\n70000 70000 1\n");
}

TEST(IdMap, HandlesTheEdges) {
  EXPECT_EQ(proc_text(make_id_map({1}, kFirst)),
            "0 1879048192 1\n1 1 1\n2 1879048194 65531\n65534 1879113726 1\n");
  EXPECT_EQ(proc_text(make_id_map({65535}, kFirst)),
            "0 1879048192 65533\n65534 1879113726 1\n65535 65535 1\n");
  EXPECT_EQ(proc_text(make_id_map({5, 6, 5}, kFirst)),
            "0 1879048192 5\n5 5 1\n6 6 1\n7 1879048199 65526\n65534 1879113726 1\n");
}

TEST(IdMap, NeverMapsRootToRoot) {
  EXPECT_EQ(proc_text(make_id_map({0}, kFirst)), "0 1879048192 65533\n65534 1879113726 1\n");
}

TEST(IdMap, FitsIntoOneWriteOfThePageThatTheKernelTakes) {
  std::vector<std::uint32_t> own;
  for (std::uint32_t id = 10000; id < 10600; id += 4) own.push_back(id);

  const auto text = proc_text(make_id_map(own, kFirst));

  EXPECT_LT(text.size(), 4096U);
  EXPECT_GT(text.size(), 3900U) << "no more of the user's groups are left out than needed";
}

TEST(IdMap, NeverOverlapsAndNeverLeavesItsRangeButForOwnIds) {
  std::vector<std::uint32_t> own;
  for (std::uint32_t id = 3; id < 100000; id += 331) own.push_back(id);
  const auto map = make_id_map(own, kFirst);

  std::uint64_t inside = 0;
  for (const auto& range : map) {
    EXPECT_GE(range.inside, inside);
    inside = std::uint64_t{range.inside} + range.count;
    const bool in_range = range.outside >= kFirst && range.outside + range.count <= kFirst + 65536;
    const bool is_own = range.count == 1 && range.inside == range.outside &&
                        std::find(own.begin(), own.end(), range.inside) != own.end();
    EXPECT_TRUE(in_range || is_own) << range.inside;
  }
  EXPECT_LE(map.size(), 340U);
}

TEST(IdMap, LeavesOutTheIdsThatServeTheMachine) {
  for (const auto& range : make_id_map({1000, 65533, 65534, 65535}, kFirst)) {
    const auto holds = [&](std::uint32_t id) {
      return id >= range.outside && id - range.outside < range.count;
    };
    EXPECT_FALSE(holds(sdk::namespace_owner(kFirst)));
    EXPECT_FALSE(holds(sdk::engine_id(kFirst)));
  }
}

struct Machine {
  cloud_image image{sizeof image, "i", "/images/i", "directory", "auto", "", "", nullptr, 0};
  const char* group_name = "users";
  cloud_user user{};
  cloud_network network{sizeof network, 24, "br0", "02:00:0a:00:00:05", "10.0.0.5", "10.0.0.1",
                        nullptr,        0,  1};
  cloud_machine_spec spec{};
  Machine() {
    user.struct_size = sizeof user;
    user.uid = 1000;
    spec.struct_size = sizeof spec;
    spec.name = "sc-n1-5";
    spec.hostname = "n1-5";
    spec.work_dir = "/state/m";
    spec.cgroup = "/slurm/job_5/cloud";
    spec.image = &image;
    spec.user = &user;
  }
};

TEST(ContainerConfig, PlacesTheMachineInTheJobsCgroup) {
  const Machine machine;

  const auto items = container_config(machine.spec, {});

  EXPECT_THAT(items, Contains(Pair("lxc.cgroup.dir.container", "slurm/job_5/cloud/machine")));
  EXPECT_THAT(items, Contains(Pair("lxc.cgroup.dir.monitor", "slurm/job_5/cloud/monitor")));
  EXPECT_THAT(items, Contains(Pair("lxc.net.0.type", "empty")));
}

TEST(ContainerConfig, NamesGroupsFromTheCallersWhereLiblxcStartsThere) {
  const Machine machine;
  ContainerPlan plan;
  plan.relative_cgroup = true;

  const auto items = container_config(machine.spec, plan);

  EXPECT_THAT(items, Contains(Pair("lxc.cgroup.relative", "1")));
  EXPECT_THAT(items, Contains(Pair("lxc.cgroup.dir.container", "machine")));
  EXPECT_THAT(items, Contains(Pair("lxc.cgroup.dir.monitor", "monitor")));
}

TEST(ContainerConfig, GivesTheLeasedAddressAndItsGateway) {
  Machine machine;
  machine.spec.network = &machine.network;

  const auto items = container_config(machine.spec, {});

  EXPECT_THAT(items, Contains(Pair("lxc.net.0.ipv4.address", "10.0.0.5/24 10.0.0.255")));
  EXPECT_THAT(items, Contains(Pair("lxc.net.0.ipv4.gateway", "10.0.0.1")));
  EXPECT_THAT(items, Contains(Pair("lxc.net.0.hwaddr", "02:00:0a:00:00:05")));
  EXPECT_THAT(items, Contains(Pair("lxc.net.0.type", "phys")));
  EXPECT_THAT(items, Contains(Pair("lxc.net.0.link", kMachinesEnd)));
}

TEST(ContainerConfig, LimitsProcessesOnlyWhereAsked) {
  const Machine machine;
  ContainerPlan plan;
  plan.pids_max = 100;

  EXPECT_THAT(container_config(machine.spec, plan), Contains(Pair("lxc.cgroup.pids.max", "100")));
  EXPECT_THAT(container_config(machine.spec, {}), Not(Contains(Pair("lxc.cgroup.pids.max", "0"))));
}

TEST(VethName, FitsAnInterfaceNameAndDiffers) {
  EXPECT_LE(veth_name(std::string(63, 'x')).size(), 15U);
  EXPECT_NE(veth_name("sc-n1-5"), veth_name("sc-n1-6"));
}

}  // namespace
}  // namespace cloud::lxc
