// A log sink that the embedder gives; the library itself never opens or writes a stream. Set once
// before any thread starts; the sink must then take calls from any thread.
#pragma once

#include <fmt/core.h>

#include <functional>
#include <string_view>

namespace ringside::log {

enum class Level { Trace, Debug, Info, Warning, Error, Off };

using Sink = std::function<void(Level, std::string_view)>;

void set_sink(Sink sink, Level threshold);
bool enabled(Level level);
void write(Level level, std::string_view text);

template <typename... Args>
void message(Level level, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level)) write(level, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  message(Level::Debug, format, std::forward<Args>(args)...);
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  message(Level::Info, format, std::forward<Args>(args)...);
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  message(Level::Warning, format, std::forward<Args>(args)...);
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  message(Level::Error, format, std::forward<Args>(args)...);
}

}  // namespace ringside::log
