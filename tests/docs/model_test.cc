// docs/model.md against the tests that there are: every row and every defect has a test, and every
// test that is named after one has it in the page.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace ringside::testing {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// The names of all tests of the tree that are named after a row or a defect.
std::set<std::string> tests() {
  // TEST, TEST_F, TEST_P, whose arguments may stand on two lines.
  const std::regex test(R"(TEST(?:_F|_P)?\(\w+,\s*((?:Row|Defect)\d\d_\w+)\))");
  std::set<std::string> names;
  for (const char* folder : {"/src", "/tests"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::string(RINGSIDE_SOURCE) + folder)) {
      if (entry.path().extension() != ".cc") continue;
      const std::string text = contents(entry.path());
      for (std::sregex_iterator at(text.begin(), text.end(), test), end; at != end; ++at)
        names.insert((*at)[1]);
    }
  }
  return names;
}

// "Row07_AttachingStopsTheGuest" and "Defect12_..." to "Row07" and "Defect12".
std::string number_of(const std::string& test) { return test.substr(0, test.find('_')); }

// The page's rows: "Row07" to the test that it names.
std::map<std::string, std::string> page() {
  const std::regex row(R"(\| (\d+) \| (.*) \| (\w+) \|)");
  std::istringstream lines(contents(std::string(RINGSIDE_SOURCE) + "/docs/model.md"));
  std::map<std::string, std::string> rows;
  std::string kind;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("| row |", 0) == 0) kind = "Row";
    if (line.rfind("| defect |", 0) == 0) kind = "Defect";
    std::smatch match;
    if (!std::regex_match(line, match, row)) continue;
    const std::string number = (match[1].length() == 1 ? "0" : "") + match[1].str();
    EXPECT_TRUE(rows.emplace(kind + number, match[3]).second) << kind << number << " comes twice";
  }
  return rows;
}

TEST(Model, EveryRowNamesATestOfItsOwn) {
  const std::set<std::string> known = tests();
  const std::map<std::string, std::string> rows = page();
  EXPECT_GE(rows.size(), 84u);  // 69 rows, 15 defects
  for (const auto& [row, test] : rows) {
    EXPECT_EQ(number_of(test), row);
    EXPECT_TRUE(known.contains(test)) << test;
  }
}

TEST(Model, EveryTestOfARowHasItInThePage) {
  const std::map<std::string, std::string> rows = page();
  for (const std::string& test : tests())
    EXPECT_TRUE(rows.contains(number_of(test))) << test;
}

}  // namespace
}  // namespace ringside::testing
