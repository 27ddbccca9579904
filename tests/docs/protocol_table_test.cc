// docs/protocol.md against the requests that the parser knows and the tests that there are.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "rsp/request.h"
#include "rsp/request_description.h"

namespace ringside::testing {
namespace {

struct Row {
  std::string packet, meaning, since, test;
};

std::string trimmed(std::string text) {
  text.erase(0, text.find_first_not_of(" `"));
  text.erase(text.find_last_not_of(" `") + 1);
  return text;
}

// The rows whose first cell is a packet in backticks.
std::vector<Row> table() {
  std::ifstream file(std::string(RINGSIDE_SOURCE) + "/docs/protocol.md");
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("| `", 0) != 0) continue;
    std::istringstream cells(line.substr(1));
    Row row;
    for (std::string* cell : {&row.packet, &row.meaning, &row.since, &row.test}) {
      std::getline(cells, *cell, '|');
      *cell = trimmed(*cell);
    }
    rows.push_back(row);
  }
  return rows;
}

std::string all_tests() {
  std::string text;
  for (const char* folder : {"/src", "/tests"}) {
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(std::string(RINGSIDE_SOURCE) + folder)) {
      if (entry.path().extension() != ".cc") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        if (line.rfind("TEST", 0) == 0) text += line + '\n';
      }
    }
  }
  return text;
}

TEST(ProtocolTable, EveryRequestHasARow) {
  std::set<std::size_t> kinds;
  for (const Row& row : table())
    kinds.insert(rsp::parse(row.packet).index());
  for (std::size_t kind = 2; kind < std::variant_size_v<rsp::Request>; ++kind)
    EXPECT_TRUE(kinds.contains(kind)) << "alternative " << kind << " of rsp::Request";
}

TEST(ProtocolTable, EveryRowIsAPacketThatTheParserKnows) {
  ASSERT_GT(table().size(), 30u);
  for (const Row& row : table()) {
    const rsp::Request request = rsp::parse(row.packet);
    EXPECT_FALSE(std::holds_alternative<rsp::Unknown>(request)) << row.packet;
    EXPECT_FALSE(std::holds_alternative<rsp::Malformed>(request))
        << row.packet << ": " << rsp::describe(request);
  }
}

TEST(ProtocolTable, EveryRowHasATestThatThereIs) {
  const std::string tests = all_tests();
  for (const Row& row : table()) {
    EXPECT_FALSE(row.meaning.empty()) << row.packet;
    EXPECT_FALSE(row.since.empty()) << row.packet;
    ASSERT_FALSE(row.test.empty()) << row.packet;
    EXPECT_NE(tests.find(row.test), std::string::npos) << row.test;
  }
}

}  // namespace
}  // namespace ringside::testing
