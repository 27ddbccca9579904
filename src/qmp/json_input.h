// A client's bytes, as JSON values. QMP has no lines: a value ends where its last bracket is
// closed. Strings in single quotes are taken as well, as QEMU takes them, and are made standard.
//
// What is no JSON is one complaint, after which reading begins anew at the next bracket or line. A
// client that does not know where it stands sends a control character or the byte 0xff, which is
// always such a complaint (QEMU's qmp-spec, "Forcing the JSON parser into known-good state").
//
// Pure; owned by a session. Bounded: a value has at most kMostBytes, and kMostNesting brackets
// within each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace ringside::qmp {

class JsonInput {
 public:
  static constexpr std::size_t kMostBytes = 1u << 20, kMostNesting = 256;

  struct Value {
    std::string text;  // with balanced brackets; the rest of the grammar is the parser's
  };
  struct Broken {
    std::string why;
  };
  using Item = std::variant<Value, Broken>;

  void append(std::string_view bytes) { waiting_ += bytes; }
  // How many bytes are still to be looked at, and how many have been.
  std::size_t waiting() const { return waiting_.size() - at_; }
  std::uint64_t taken() const { return dropped_ + at_; }
  // The next of what append() brought; nothing: more must come first.
  std::optional<Item> next();

 private:
  enum class State : std::uint8_t { Between, Word, String, Escape, Recovery };
  std::optional<Item> take(char c, bool& used);
  std::optional<Item> between(char c, bool& used);
  std::optional<Item> in_string(char c);
  std::optional<Item> bracket(char c);
  std::optional<Item> end_of_token();
  Item complete();
  Item broken(std::string why);
  Item stray(char c);

  std::string waiting_;
  std::size_t at_ = 0;
  std::uint64_t dropped_ = 0;  // of waiting_, since the beginning
  State state_ = State::Between;
  char quote_ = '"';
  std::string value_;
  std::size_t token_ = 0;  // where in value_ the token begins that is being read
  int braces_ = 0, brackets_ = 0;
  std::string invalid_;  // a word that is none of JSON's
};

}  // namespace ringside::qmp
