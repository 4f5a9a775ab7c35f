// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/job/trace_events.hpp"
#include "core/machine/machine_plan.hpp"
#include "core/stage/stray_machines.hpp"
#include "tools/slurm_settings.hpp"

namespace cloud {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Level = SlurmFinding::Level;

// As Slurm 22.05 prints it, shortened.
constexpr const char* kGood = R"(Configuration data as of 2024-11-24T10:00:00
Epilog                  = /usr/libexec/spank-cloud/epilog
ProctrackType           = proctrack/cgroup
Prolog                  = /usr/libexec/spank-cloud/prolog
PrologEpilogTimeout     = 65534
PrologFlags             = Alloc,Contain,DeferBatch
TaskPlugin              = task/affinity,task/cgroup
TaskPluginParam         = (null type)

Slurmctld(primary) at node1 is UP
)";

std::string with(std::string text, const std::string& from, const std::string& to) {
  text.replace(text.find(from), from.size(), to);
  return text;
}

SlurmFinding finding(const std::string& text, const std::string& setting, Level level) {
  for (const auto& found : judge_slurm_settings(parse_slurm_settings(text))) {
    if (found.setting == setting && found.level == level) return found;
  }
  return {};
}

TEST(SlurmSettings, OfTheFragmentAreGood) {
  for (const auto& found : judge_slurm_settings(parse_slurm_settings(kGood))) {
    EXPECT_EQ(found.level, Level::ok) << found.setting << ": " << found.text;
  }
}

TEST(SlurmSettings, AreReadWhereALaterReleaseNumbersThem) {
  const auto text = with(kGood, "Prolog                  =", "Prolog[0]               =");
  EXPECT_EQ(finding(text, "Prolog", Level::ok).text, "/usr/libexec/spank-cloud/prolog");
}

TEST(SlurmSettings, SayWhatIsMissing) {
  const auto no_contain = with(kGood, "Alloc,Contain,DeferBatch", "Alloc,DeferBatch");
  EXPECT_THAT(finding(no_contain, "PrologFlags", Level::problem).text,
              HasSubstr("'Alloc,DeferBatch': the machine starts in the extern step"));
  const auto no_defer = with(kGood, "Contain,DeferBatch", "Contain");
  EXPECT_THAT(finding(no_defer, "PrologFlags", Level::note).text, HasSubstr("DeferBatch"));
  const auto linux_proc = with(kGood, "proctrack/cgroup", "proctrack/linuxproc");
  EXPECT_THAT(finding(linux_proc, "ProctrackType", Level::problem).text,
              HasSubstr("choose proctrack/cgroup"));
  const auto affinity = with(kGood, "task/affinity,task/cgroup", "task/affinity");
  EXPECT_THAT(finding(affinity, "TaskPlugin", Level::problem).text, HasSubstr("task/cgroup"));
  const auto no_epilog = with(kGood, "/usr/libexec/spank-cloud/epilog", "(null)");
  EXPECT_THAT(finding(no_epilog, "Epilog", Level::problem).text, HasSubstr("not set"));
}

TEST(SlurmSettings, AreWholeWords) {
  const auto text = with(kGood, "Alloc,Contain,DeferBatch", "NoContain,DeferBatch");
  EXPECT_THAT(finding(text, "PrologFlags", Level::problem).text, HasSubstr("NoContain"));
}

TEST(TraceEvents, HaveATrackForEachListAndASliceForEachStage) {
  JobRecord record;
  record.job_id = 7;
  record.node = "n1";
  record.stages = {{"prolog", "address", StageState::done, 1000, 3500, ""},
                   {"keeper", "start", StageState::failed, 4000, 9000, "no \"bridge\""},
                   {"keeper", "kernel", StageState::begun, 9000, 0, ""}};

  const auto text = to_trace_events(record);

  EXPECT_THAT(text, HasSubstr("\"name\": \"job 7 on n1\""));
  EXPECT_THAT(text, HasSubstr("\"name\": \"prolog\""));
  EXPECT_THAT(text, HasSubstr("\"name\": \"keeper\""));
  EXPECT_THAT(text, HasSubstr("\"tid\": 2"));
  EXPECT_THAT(text, Not(HasSubstr("\"tid\": 3")));
  EXPECT_THAT(text, HasSubstr("\"dur\": 2500"));
  EXPECT_THAT(text, HasSubstr("\"message\": \"no \\\"bridge\\\"\""));
  EXPECT_THAT(text, HasSubstr("\"ph\": \"B\""));
}

TEST(TraceEvents, TakeNoNegativeTimeFromAClockThatWasSetBack) {
  JobRecord record;
  record.stages = {{"prolog", "address", StageState::done, 5000, 1000, ""}};
  EXPECT_THAT(to_trace_events(record), HasSubstr("\"dur\": 0"));
}

TEST(StrayMachines, AreThoseWithANameOfThisNode) {
  EXPECT_EQ(job_of_machine(machine_name("Node.1", 4711), "Node.1"), 4711U);
  EXPECT_EQ(job_of_machine("sc-g1-12", "g1"), 12U);
}

TEST(StrayMachines, AreNoOthers) {
  for (const auto* name :
       {"sc-g1-2-12", "sc-g2-12", "sc-g1-", "sc-g1-0", "sc-g1-012", "sc-g1-12x", "sc-g1--12",
        "g1-12", "win10", "", "-", "sc-g1-99999999999999999999999"}) {
    EXPECT_FALSE(job_of_machine(name, "g1")) << name;
  }
}

}  // namespace
}  // namespace cloud
