#include "base/log.h"

namespace ringside::log {
namespace {
Sink g_sink;
Level g_threshold = Level::Off;
}  // namespace

void set_sink(Sink sink, Level threshold) {
  g_sink = std::move(sink);
  g_threshold = threshold;
}

bool enabled(Level level) { return level >= g_threshold && g_sink != nullptr; }

void write(Level level, std::string_view text) {
  if (enabled(level)) g_sink(level, text);
}

}  // namespace ringside::log
