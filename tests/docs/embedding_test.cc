// The README's lines that embed the library are lines of examples/toy_vmm.cc, and each block of
// code in docs/embedding.md is one of a source that tests/library builds and debugs.
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

// The blocks of a page, each as its lines without indentation.
std::vector<std::vector<std::string>> blocks_of(const std::string& path) {
  std::ifstream file(std::string(RINGSIDE_SOURCE) + path);
  std::vector<std::vector<std::string>> blocks;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("```", 0) == 0) {
      inside = !inside;
      if (inside) blocks.emplace_back();
      continue;
    }
    line.erase(0, line.find_first_not_of(' '));
    if (inside) blocks.back().push_back(line);
  }
  return blocks;
}

TEST(Embedding, ThePagesBlocksAreCompiled) {
  std::vector<std::vector<std::string>> sources;
  for (const char* path : {"/examples/toy_vmm.cc", "/examples/unicorn_vmm.cc",
                           "/tests/library/loops_test.cc", "/tests/library/page_test.cc"})
    sources.push_back(lines_of(path));
  const auto blocks = blocks_of("/docs/embedding.md");
  ASSERT_GE(blocks.size(), 5u);
  for (const auto& block : blocks) {
    ASSERT_FALSE(block.empty());
    const bool found = std::any_of(sources.begin(), sources.end(), [&](const auto& source) {
      return std::search(source.begin(), source.end(), block.begin(), block.end()) != source.end();
    });
    EXPECT_TRUE(found) << "in no source as it stands on the page:\n" << block.front();
  }
}

}  // namespace
}  // namespace ringside::testing
