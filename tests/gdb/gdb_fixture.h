// A guest and stock GDB, as the dialogues begin.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "gdb/gdb_session.h"
#include "support/guest_process.h"
#include "support/host.h"

namespace ringside::testing {

class Dialogue : public ::testing::Test {
 protected:
  void SetUp() override {
    static const std::string missing = GdbSession::missing();
    SKIP_IF(missing);
  }
  // A guest and GDB, not yet connected.
  void begin(std::string_view name, const GuestOptions& options = {}) {
    guest_.emplace(name, options);
    gdb_.emplace(guest_->image().path());
  }
  std::string connect() { return gdb("target remote 127.0.0.1:" + std::to_string(guest_->port())); }
  std::string gdb(std::string_view command) { return gdb_->command(command); }
  std::string continue_and_interrupt() {
    return gdb_->interrupt_command("continue", guest_->process());
  }
  // For symbols that are mere numbers.
  std::string at(const char* symbol) { return "*0x" + hex_number((*guest_)[symbol]); }

  std::optional<GuestProcess> guest_;
  std::optional<GdbSession> gdb_;
};

}  // namespace ringside::testing
