#include "qmp/json_input.h"

#include <gtest/gtest.h>

#include <vector>

namespace ringside::qmp {
namespace {

using Items = std::vector<std::string>;

// What comes out, complaints with an exclamation mark in front; and nothing is left to look at.
Items read(std::string_view bytes, std::size_t at_once) {
  JsonInput input;
  Items items;
  const std::size_t size = bytes.size();
  for (; !bytes.empty(); bytes.remove_prefix(std::min(at_once, bytes.size()))) {
    input.append(bytes.substr(0, at_once));
    while (const auto item = input.next()) {
      const auto* value = std::get_if<JsonInput::Value>(&*item);
      items.push_back(value != nullptr ? value->text
                                       : "!" + std::get<JsonInput::Broken>(*item).why);
    }
  }
  EXPECT_EQ(input.waiting(), 0u);
  EXPECT_EQ(input.taken(), size);
  return items;
}

struct Case {
  std::string bytes;
  Items items;
};

class JsonInputTest : public ::testing::TestWithParam<Case> {};

TEST_P(JsonInputTest, HoweverItComes) {
  for (const std::size_t at_once : {1, 2, 7, 1000})
    EXPECT_EQ(read(GetParam().bytes, at_once), GetParam().items) << at_once;
}

const std::string kKeyword = "!JSON parse error, invalid keyword ";
const std::string kStray = "!JSON parse error, stray ";

INSTANTIATE_TEST_SUITE_P(
    Values, JsonInputTest,
    ::testing::Values(Case{"{}", {"{}"}}, Case{"{}{}\r\n[{}]", {"{}", "{}", "[{}]"}},
                      Case{R"( {"a" : [1, -2.5e3, true, null, "]}"]} )",
                           {R"({"a" : [1, -2.5e3, true, null, "]}"]})"}},
                      Case{"42 7\n\"a\"", {"42", "7", "\"a\""}}, Case{R"("\"}\\")", {R"("\"}\\")"}},
                      // QEMU's strings
                      Case{"{'a': 'it\\'s \"so\"'}", {R"({"a": "it's \"so\""})"}},
                      Case{R"("it\'s")", {R"("it's")"}}));

INSTANTIATE_TEST_SUITE_P(
    Hostile, JsonInputTest,
    ::testing::Values(Case{"}", {"}"}}, Case{"]{}", {"]", "{}"}}, Case{"{]{}", {"{]", "{}"}},
                      Case{":,{}", {":", ",", "{}"}}, Case{"foo {}", {kKeyword + "'foo'", "{}"}},
                      Case{"{\"a\": foo, \"b\": bar}{}", {kKeyword + "'foo'", "{}"}},
                      Case{"{\"a\": @}{}", {kStray + "'@'", "}", "{}"}},
                      Case{"%d {}", {kStray + "'%'", "{}"}},
                      Case{"{\"execute\": \"abc\x01\"}{}", {kStray + "'\"abc\x01'", "}", "{}"}},
                      Case{"\"abc\n\n{}", {kStray + "'\"abc\n'", "{}"}},
                      Case{"{\"a\": [[[\xff{}", {kStray + "'\xff'", "{}"}},
                      Case{"{\"a\": \"\xff{}", {kStray + "'\"\xff'", "{}"}},
                      Case{std::string("\0{}", 3), {kStray + std::string("'\0'", 3), "{}"}}));

TEST(JsonInput, AValueIsBounded) {
  const std::string many(JsonInput::kMostBytes, ' ');
  EXPECT_EQ(read("[" + many + "]", 4096), (Items{"!JSON token size limit exceeded", "]"}));
  EXPECT_EQ(read("\"" + many + "{}", 4096), (Items{"!JSON token size limit exceeded", "{}"}));
}

TEST(JsonInput, NestingIsBounded) {
  const std::size_t most = JsonInput::kMostNesting;
  EXPECT_EQ(read(std::string(most, '[') + std::string(most, ']'), 1000).size(), 1u);
  const Items items = read(std::string(most + 1, '[') + "\xff{}", 1000);
  EXPECT_EQ(items.front(), "!JSON nesting depth limit exceeded");
  EXPECT_EQ(items.back(), "{}");
}

}  // namespace
}  // namespace ringside::qmp
