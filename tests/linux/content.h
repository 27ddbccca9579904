// Content of files and transfers that is found out wherever a part of it is lost, moved or changed.
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "support/child_process.h"

namespace ringside::testing {

// Of which no two sectors are equal. The same each time.
inline std::string scrambled(std::size_t size) {
  std::string content(size, '\0');
  std::uint32_t state = 2463534242;
  for (char& c : content) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    c = static_cast<char>(state);
  }
  return content;
}

inline std::string content_of(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// As sha256sum(1) prints it.
inline std::string digest(const std::string& content) {
  ChildProcess tool({"sha256sum"});
  tool.write_input(content);
  tool.close_input();
  if (tool.await_exit() != 0) return "sha256sum has failed";
  return tool.text(ChildProcess::Stream::Output).substr(0, 64);
}

}  // namespace ringside::testing
