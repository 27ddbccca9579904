// The README's lines that embed the library are lines of examples/toy_vmm.cc, which is built and
// debugged by tests/library.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace ringside::testing {
namespace {

// The lines of a file without their indentation; of a block of code only, where one is named.
std::vector<std::string> lines_of(const std::string& path, const std::string& block = "") {
  std::ifstream file(std::string(RINGSIDE_SOURCE) + path);
  std::vector<std::string> lines;
  bool inside = block.empty();
  for (std::string line; std::getline(file, line);) {
    if (!block.empty() && line.rfind("```", 0) == 0) {
      inside = line == "```" + block;
      continue;
    }
    line.erase(0, line.find_first_not_of(' '));
    if (inside) lines.push_back(line);
  }
  return lines;
}

TEST(Embedding, TheReadmesLinesAreTheExamples) {
  const std::vector<std::string> shown = lines_of("/README.md", "cpp");
  ASSERT_GE(shown.size(), 5u);
  const std::vector<std::string> example = lines_of("/examples/toy_vmm.cc");
  auto at = example.begin();
  for (const std::string& line : shown) {
    at = std::find(at, example.end(), line);
    ASSERT_NE(at, example.end()) << "not in the example, or not in this order: " << line;
    ++at;
  }
}

}  // namespace
}  // namespace ringside::testing
