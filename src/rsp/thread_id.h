// The thread id of the protocol: a number, "any" (0) or "all" (-1), with multiprocess agreed as
// p<process>.<thread>. Plain values. What number stands for which vCPU is the session's business.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

namespace ringside::rsp {

class Id {
 public:
  static constexpr Id any() { return Id(Kind::Any, 0); }
  static constexpr Id all() { return Id(Kind::All, 0); }
  // `number` is not 0.
  static constexpr Id of(std::uint64_t number) { return Id(Kind::Number, number); }

  constexpr Id() = default;
  constexpr bool is_any() const { return kind_ == Kind::Any; }
  constexpr bool is_all() const { return kind_ == Kind::All; }
  constexpr bool is_number() const { return kind_ == Kind::Number; }
  // 0 unless is_number(). Any 64-bit value: check it before indexing with it.
  constexpr std::uint64_t number() const { return number_; }

  friend constexpr bool operator==(const Id&, const Id&) = default;

 private:
  enum class Kind : std::uint8_t { Any, All, Number };
  constexpr Id(Kind kind, std::uint64_t number) : kind_(kind), number_(number) {}

  Kind kind_ = Kind::Any;
  std::uint64_t number_ = 0;
};

struct ThreadId {
  std::optional<Id> process;  // none: written without p
  Id thread;

  friend constexpr bool operator==(const ThreadId&, const ThreadId&) = default;
};

// Big-endian hex in whole bytes, as the model writes it: 01, 10, 0100 (docs/model.md, row 15).
void append_id(std::string& out, std::uint64_t number);
// Without a process "01", with one "p01.01".
void append_thread_id(std::string& out, std::optional<std::uint64_t> process, std::uint64_t thread);

}  // namespace ringside::rsp
