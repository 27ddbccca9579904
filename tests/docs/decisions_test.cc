// docs/decisions/: every page has its number and a line in the index, and no number is missing.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace ringside::testing {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(RINGSIDE_SOURCE) / "docs/decisions";

TEST(Decisions, AreNumberedAndInTheIndex) {
  std::set<std::string> expected;  // the index' lines
  unsigned last = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    const std::string name = entry.path().filename();
    if (name == "README.md") continue;
    const unsigned number = static_cast<unsigned>(std::stoul(name.substr(0, 4)));
    std::string title;
    std::getline(std::ifstream(entry.path()) >> std::ws, title);
    const std::string start = "# " + std::to_string(number) + ". ";
    ASSERT_EQ(title.substr(0, start.size()), start) << name;
    expected.insert("| " + std::to_string(number) + " | [" + title.substr(start.size()) + "](" +
                    name + ") |");
    last = std::max(last, number);
  }
  EXPECT_EQ(expected.size(), last) << "a number is missing, or comes twice";
  std::set<std::string> index;
  std::ifstream file(kFolder / "README.md");
  unsigned before = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("| ", 0) != 0 || line.rfind("| number |", 0) == 0) continue;
    index.insert(line);
    const unsigned number = static_cast<unsigned>(std::stoul(line.substr(2)));
    EXPECT_GT(number, before) << "the index is not in order";
    before = number;
  }
  for (const std::string& line : expected)
    EXPECT_TRUE(index.contains(line)) << "not in the index: " << line;
  for (const std::string& line : index)
    EXPECT_TRUE(expected.contains(line)) << "in the index, and no page: " << line;
}

}  // namespace
}  // namespace ringside::testing
