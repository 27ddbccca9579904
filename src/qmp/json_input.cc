#include "qmp/json_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ringside::qmp {
namespace {

bool is_in_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' ||
         c == 'E';
}
bool begins_word(char c) { return is_in_word(c) && c != '+' && c != '.' && c != 'E'; }
bool is_structural(char c) { return std::string_view("{}[]:,").find(c) != std::string_view::npos; }
bool is_control(char c) { return static_cast<unsigned char>(c) < ' '; }
// No byte of UTF-8.
bool is_impossible(char c) { return static_cast<unsigned char>(c) >= 0xfe; }

}  // namespace

std::optional<JsonInput::Item> JsonInput::next() {
  std::optional<Item> item;
  while (!item && at_ < waiting_.size()) {
    bool used = true;
    item = take(waiting_[at_], used);
    if (used) ++at_;
    if (!item && value_.size() > kMostBytes) item = broken("JSON token size limit exceeded");
  }
  if (at_ == waiting_.size() || at_ >= kMostBytes) {
    waiting_.erase(0, at_);
    dropped_ += at_;
    at_ = 0;
  }
  return item;
}

// `used` becomes false where the same byte is to be looked at again.
std::optional<JsonInput::Item> JsonInput::take(char c, bool& used) {
  switch (state_) {
    case State::Between:
      return between(c, used);
    case State::Word:
      if (is_in_word(c)) {
        value_ += c;
        return std::nullopt;
      }
      used = false;
      return end_of_token();
    case State::String:
    case State::Escape:
      return in_string(c);
    case State::Recovery:
      break;
  }
  const bool ends = is_structural(c) || (is_control(c) && c != '\t') || is_impossible(c);
  if (ends) state_ = State::Between;
  used = !is_structural(c);
  return std::nullopt;
}

std::optional<JsonInput::Item> JsonInput::between(char c, bool& used) {
  token_ = value_.size();
  if (is_structural(c)) return bracket(c);
  if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
    if (!value_.empty()) value_ += ' ';
    return std::nullopt;
  }
  if (c == '"' || c == '\'') {
    state_ = State::String;
    quote_ = c;
    value_ += '"';
    return std::nullopt;
  }
  if (!begins_word(c)) return stray(c);
  state_ = State::Word;
  used = false;
  return std::nullopt;
}

std::optional<JsonInput::Item> JsonInput::in_string(char c) {
  if (is_control(c) || is_impossible(c)) return stray(c);
  if (std::exchange(state_, State::String) == State::Escape) {
    // An escaped ' is QEMU's; JSON has none.
    if (c == '\'') value_.pop_back();
    value_ += c;
  } else if (c == '\\') {
    state_ = State::Escape;
    value_ += c;
  } else if (c == quote_) {
    value_ += '"';
    return end_of_token();
  } else {
    if (c == '"') value_ += '\\';
    value_ += c;
  }
  return std::nullopt;
}

std::optional<JsonInput::Item> JsonInput::bracket(char c) {
  value_ += c;
  braces_ += c == '{' ? 1 : c == '}' ? -1 : 0;
  brackets_ += c == '[' ? 1 : c == ']' ? -1 : 0;
  if (braces_ < 0 || brackets_ < 0) return complete();
  if (static_cast<std::size_t>(braces_) + static_cast<std::size_t>(brackets_) > kMostNesting)
    return broken("JSON nesting depth limit exceeded");
  return end_of_token();
}

std::optional<JsonInput::Item> JsonInput::end_of_token() {
  const std::string_view token = std::string_view(value_).substr(token_);
  if (state_ == State::Word && token.front() >= 'a' && token != "true" && token != "false" &&
      token != "null" && invalid_.empty())
    invalid_ = token;
  state_ = State::Between;
  if (braces_ != 0 || brackets_ != 0) return std::nullopt;
  return complete();
}

JsonInput::Item JsonInput::complete() {
  Value value{std::exchange(value_, {})};
  const std::string invalid = std::exchange(invalid_, {});
  braces_ = brackets_ = 0;
  if (invalid.empty()) return value;
  return Broken{fmt::format("JSON parse error, invalid keyword '{}'", invalid)};
}

JsonInput::Item JsonInput::broken(std::string why) {
  value_.clear();
  invalid_.clear();
  braces_ = brackets_ = 0;
  state_ = State::Recovery;
  return Broken{std::move(why)};
}

JsonInput::Item JsonInput::stray(char c) {
  constexpr std::size_t kMostShown = 60;
  std::string token = value_.substr(std::min(token_, value_.size()));
  if (token.size() > kMostShown) token = token.substr(0, kMostShown) + "...";
  return broken(fmt::format("JSON parse error, stray '{}{}'", token, c));
}

}  // namespace ringside::qmp
