// What the debug server relies on in an engine (ringside/vm.h), one test per promise, on every
// engine. The fixture of them all; its files differ by subject.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "conformance/test_vm.h"
#include "support/host.h"

namespace ringside::testing {

class Conformance : public ::testing::TestWithParam<EngineKind> {
 protected:
  void SetUp() override { SKIP_IF(GetParam().missing()); }
  // For a test's first line.
  static std::string lacks(std::initializer_list<Feature> features) {
    for (const Feature feature : features) {
      if (const std::string why = GetParam().lacks(feature); !why.empty()) return why;
    }
    return {};
  }
  static void enable(TestVm& vm, hypervisor::Capability capability, std::uint32_t number = 0) {
    ASSERT_TRUE(vm.vcpu(number).set_capability(capability, true));
  }
};

#define NEEDS(...) SKIP_IF(lacks({__VA_ARGS__}))

}  // namespace ringside::testing
