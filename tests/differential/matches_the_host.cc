#include "differential/matches_the_host.h"

#include <fmt/format.h>

#include "differential/native_cpu.h"

namespace ringside::differential {

void expect_matches_the_host(Mode mode, const Scope& scope, const Campaign& campaign) {
  if (const auto reason = NativeCpu::start()) GTEST_SKIP() << *reason;
  if (const auto reason = NativeCpu::lacks(mode)) GTEST_SKIP() << *reason;
  const Report report = run_campaign(mode, scope, campaign.cases_per_form, campaign.seed);
  fmt::print("{} {}: {} forms, {} encodings, {} cases, {} of them faults\n", name(mode),
             campaign.name, report.forms, report.encodings, report.cases, report.faults);
  if (!report.passing.empty()) {
    fmt::print("{} differences that did not come again\n", report.passing.size());
  }
  for (const std::string& extension : report.absent)
    fmt::print("not compared: this host's processor has no {}\n", extension);
  for (const std::string& line : report.passing)
    fmt::print("differed once, and not when it was repeated: {}\n", line);
  for (const std::string& form : report.unimplemented)
    ADD_FAILURE() << "unimplemented: " << form;
  for (const std::string& line : report.differences)
    ADD_FAILURE() << line;
  EXPECT_EQ(report.forms_that_differ, 0u);
  EXPECT_GT(report.forms, campaign.least_forms);
}

std::string mode_name(const testing::TestParamInfo<Mode>& info) {
  return info.param == Mode::Code16 ? "Code16" : info.param == Mode::Code32 ? "Code32" : "Code64";
}

}  // namespace ringside::differential
