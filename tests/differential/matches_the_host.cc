#include "differential/matches_the_host.h"

#include <fmt/format.h>

#include "differential/native_cpu.h"

namespace ringside::differential {

void expect_matches_the_host(Mode mode, const Scope& scope, const Campaign& campaign) {
  if (const auto reason = NativeCpu::start()) GTEST_SKIP() << *reason;
  if (!NativeCpu::has_mode(mode)) GTEST_SKIP() << "no local descriptor table here";
  const Report report = run_campaign(mode, scope, campaign.cases_per_form, campaign.seed);
  fmt::print("{} {}: {} forms, {} encodings, {} cases, {} of them faults\n", name(mode),
             campaign.name, report.forms, report.encodings, report.cases, report.faults);
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
