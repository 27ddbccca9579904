#include "rsp/framing.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/hex.h"

namespace ringside::rsp {
namespace {

constexpr char kInterrupt = '\x03';
constexpr char kEscapeFlip = 0x20;

std::uint8_t sum_of(std::string_view bytes) {
  std::uint8_t sum = 0;
  for (const char c : bytes)
    sum = static_cast<std::uint8_t>(sum + static_cast<std::uint8_t>(c));
  return sum;
}

}  // namespace

Opening opening(std::string_view bytes) {
  const std::size_t first = bytes.find_first_not_of("+-");
  if (first == std::string_view::npos) return Opening::Unclear;
  const bool begins = bytes[first] == '$' || bytes[first] == kInterrupt;
  return begins ? Opening::Debugger : Opening::Other;
}

std::optional<Event> Decoder::next(std::string_view& input) {
  while (!input.empty()) {
    if (state_ == State::Body) {
      take_body(input);
      continue;
    }
    const char c = input.front();
    input.remove_prefix(1);
    switch (state_) {
      case State::Idle:
        if (c == '$') {
          state_ = State::Body;
          body_.clear();
          sum_ = 0;
          too_long_ = false;
        } else if (c == '+') {
          return Event{Event::Kind::Ack, {}};
        } else if (c == '-') {
          return Event{Event::Kind::Nack, {}};
        } else if (c == kInterrupt) {
          return Event{Event::Kind::Interrupt, {}};
        }
        break;
      case State::ChecksumHigh:
        high_digit_ = hex_digit(c);
        state_ = State::ChecksumLow;
        break;
      case State::ChecksumLow:
        state_ = State::Idle;
        return finish(hex_digit(c));
      case State::Body:
        break;
    }
  }
  return std::nullopt;
}

void Decoder::take_body(std::string_view& input) {
  const std::string_view part = input.substr(0, input.find('#'));
  if (part.size() > limit_ - std::min(limit_, body_.size())) too_long_ = true;
  if (!too_long_) {
    body_ += part;
    sum_ = static_cast<std::uint8_t>(sum_ + sum_of(part));
  }
  input.remove_prefix(part.size());
  if (input.empty()) return;
  input.remove_prefix(1);
  state_ = State::ChecksumHigh;
}

Event Decoder::finish(int low_digit) {
  if (too_long_) return {Event::Kind::TooLong, {}};
  const bool right = high_digit_ >= 0 && low_digit >= 0 && sum_ == (high_digit_ << 4 | low_digit);
  if (verify_ && !right) return {Event::Kind::BadChecksum, {}};
  if (!decode_body()) return {Event::Kind::BadChecksum, {}};
  return {Event::Kind::Packet, body_};
}

// False for run lengths that are none, or that grow beyond the limit. An escape with nothing after
// it stays as it is; no packet we know has a place for it.
bool Decoder::decode_body() {
  const bool expand = run_lengths_ == RunLengths::Expand;
  // find of one character is memchr; find_first_of is not.
  const auto next_special = [&](std::size_t from) {
    return std::min(expand ? body_.find_first_of("}*", from) : body_.find('}', from), body_.size());
  };
  std::size_t special = next_special(0);
  if (special == body_.size()) return true;

  expanded_.clear();
  char last = '\0';
  for (std::size_t from = 0;;) {
    if (special > from) last = body_[special - 1];
    expanded_.append(body_, from, special - from);
    if (special == body_.size()) break;
    from = special + 2;
    if (from > body_.size()) {
      if (body_[special] == '*') return false;
      expanded_ += '}';
      break;
    }
    const char second = body_[special + 1];
    if (body_[special] == '}') {
      last = second;
      expanded_ += static_cast<char>(second ^ kEscapeFlip);
    } else {
      // The count character stands for itself less 29 (manual, "Overview", run-length encoding).
      const int repeats = static_cast<unsigned char>(second) - 29;
      if (expanded_.empty() || repeats < 3 || repeats > 97) return false;
      expanded_.append(static_cast<std::size_t>(repeats), last);
      if (expanded_.size() > limit_) return false;
    }
    special = next_special(from);
  }
  body_.swap(expanded_);
  return true;
}

namespace {

constexpr std::size_t kBlock = 32;
constexpr std::size_t kShortestRun = 4;  // three repeats; below that a run is no shorter
constexpr std::size_t kLongestRun = 97 + 1;

// 1 for a byte that needs an escape.
constexpr std::array<std::uint8_t, 256> make_specials() {
  std::array<std::uint8_t, 256> table{};
  for (const char c : {'#', '$', '}', '*'})
    table[static_cast<unsigned char>(c)] = 1;
  return table;
}
constexpr auto kSpecial = make_specials();

// Whether four alike stand at `p`.
bool begins_run(const char* p) { return (p[0] == p[1]) & (p[0] == p[2]) & (p[0] == p[3]); }

// Without a branch inside, so that the compiler makes vector code of it.
bool needs_escape(const char* block) {
  unsigned char found = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const char c = block[i];
    found |= static_cast<unsigned char>((c == '#') | (c == '$') | (c == '}') | (c == '*'));
  }
  return found != 0;
}

// The same. Reads kShortestRun - 1 bytes past the block.
bool has_run(const char* block) {
  unsigned char found = 0;
  for (std::size_t i = 0; i < kBlock; ++i)
    found |= static_cast<unsigned char>(begins_run(block + i));
  return found != 0;
}

// Writes [p, end), escaped, to `out` and gives the end of what was written: at most twice as much.
// No branch depends on the bytes.
char* escape(const char* p, const char* end, char* out) {
  for (; p != end; ++p) {
    const std::uint8_t special = kSpecial[static_cast<unsigned char>(*p)];
    out[0] = '}';
    out[special] = static_cast<char>(*p ^ (kEscapeFlip & -special));
    out += 1 + special;
  }
  return out;
}

// The count characters # $ * + - } would be read as something else by a careless or a strict
// client.
bool may_repeat(std::size_t repeats) {
  const char c = static_cast<char>(repeats + 29);
  return c != '#' && c != '$' && c != '*' && c != '+' && c != '-' && c != '}';
}

// Appends what stands for `length` times `c`.
void append_run(std::string& out, char c, std::size_t length) {
  while (length >= kShortestRun) {
    std::size_t run = std::min(length, kLongestRun);
    while (!may_repeat(run - 1))
      --run;
    const char code[] = {c, '*', static_cast<char>(run - 1 + 29)};
    out.append(code, sizeof code);
    length -= run;
  }
  out.append(length, c);
}

// Collects output, so that the string grows in large pieces.
class Collector {
 public:
  explicit Collector(std::string& out) : out_(out) {}
  ~Collector() { flush(); }
  // Room for kBlock bytes, all of them escaped.
  char* room() {
    if (size_ > text_.size() - 2 * kBlock) flush();
    return text_.data() + size_;
  }
  void wrote_to(const char* end) { size_ = static_cast<std::size_t>(end - text_.data()); }
  void flush() {
    out_.append(text_.data(), size_);
    size_ = 0;
  }

 private:
  std::string& out_;
  std::array<char, 4096> text_;
  std::size_t size_ = 0;
};

template <bool with_runs>
void append_body(std::string& out, std::string_view payload) {
  const char* p = payload.data();
  const char* const end = p + payload.size();
  Collector text(out);
  while (p != end) {
    const auto left = static_cast<std::size_t>(end - p);
    char* const room = text.room();
    if (left >= kBlock + kShortestRun - 1 && !(with_runs && has_run(p))) {
      if (needs_escape(p)) {
        text.wrote_to(escape(p, p + kBlock, room));
      } else {
        std::memcpy(room, p, kBlock);
        text.wrote_to(room + kBlock);
      }
      p += kBlock;
      continue;
    }
    // Up to the run, or a few bytes at the end; then try whole blocks again.
    const char* const stop = p + std::min(left, kBlock);
    const char* run = stop;
    if constexpr (with_runs) {
      const char* const last = end - std::min(left, kShortestRun - 1);
      run = p;
      while (run < stop && !(run < last && begins_run(run)))
        ++run;
    }
    text.wrote_to(escape(p, run, room));
    p = run;
    if (run == stop) continue;
    const char c = *run;
    p = std::find_if(run, end, [c](char other) { return other != c; });
    if (kSpecial[static_cast<unsigned char>(c)] != 0) {
      // An escape cannot be repeated.
      for (; run != p; ++run)
        text.wrote_to(escape(run, run + 1, text.room()));
      continue;
    }
    text.flush();
    append_run(out, c, static_cast<std::size_t>(p - run));
  }
}

}  // namespace

void append_frame(std::string& out, std::string_view payload, RunLengthOutput run_lengths) {
  out.reserve(out.size() + payload.size() + 4);
  out += '$';
  const std::size_t start = out.size();
  if (run_lengths == RunLengthOutput::On) {
    append_body<true>(out, payload);
  } else {
    append_body<false>(out, payload);
  }
  const std::uint8_t sum = sum_of(std::string_view(out).substr(start));
  static constexpr char kDigits[] = "0123456789abcdef";
  const char tail[] = {'#', kDigits[sum >> 4], kDigits[sum & 15]};
  out.append(tail, sizeof tail);
}

}  // namespace ringside::rsp
