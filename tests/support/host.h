// What tests need of the host and not every host has: each function says why it is not to be had,
// or gives an empty string where it is. They try what they ask about. The reasons are written here
// only, because the summary of a run (scripts/run-tests) counts tests by them.
#pragma once

#include <string>
#include <string_view>

#include "base/testing/host.h"

namespace ringside::testing::host {

// A program in PATH; it is asked for its version.
std::string no_program(const std::string& name);

// A shared library, by its file's name.
std::string no_library(const std::string& name);

// An engine that cannot be used for `reason`; empty if that is.
std::string no_engine(std::string_view name, std::string_view reason);
// The engine of that name, as the program itself sees it.
std::string no_engine(const std::string& name);

std::string no_pseudo_terminals();

// A mount namespace of its own for a program that may mount there: root's, or a user namespace's.
std::string no_mount_namespaces();

// This process can become another user for a while, and have network namespaces.
std::string no_other_user();
std::string no_network_namespaces();

// GDB may run a program of this host.
std::string no_tracing();

// The program RINGSIDE_RESTRICTED can make a process that is restricted in this way.
std::string no_restriction(const std::string& how);

}  // namespace ringside::testing::host

// The first line of a test, with one of these.
#define SKIP_IF(reason) \
  if (const std::string why_not = (reason); !why_not.empty()) GTEST_SKIP() << why_not
