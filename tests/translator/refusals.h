// What the translator says of blocks that its assembler refused to write: they stay interpreted,
// which nobody else would notice. It listens to the log while it lives; one at a time.
#pragma once

#include <string>
#include <vector>

#include "base/log.h"

namespace ringside::testing {

class Refusals {
 public:
  Refusals() {
    log::set_sink(
        [this](log::Level, std::string_view text) {
          if (text.find("stays interpreted") != std::string_view::npos) lines_.emplace_back(text);
        },
        log::Level::Debug);
  }
  ~Refusals() { log::set_sink(nullptr, log::Level::Off); }
  Refusals(const Refusals&) = delete;
  Refusals& operator=(const Refusals&) = delete;

  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

}  // namespace ringside::testing
