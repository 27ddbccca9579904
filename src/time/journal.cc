#include "time/journal.h"

#include <fmt/format.h>

#include <cerrno>
#include <sstream>

#include "base/hex.h"

namespace ringside::time {
namespace {

using machine::GuestGdbConnection, machine::GuestGdbInput, machine::SerialInput;

std::string header(const RunIdentity& identity) {
  return fmt::format("ringside-journal 4 vcpus {} memory {} content {:08x}", identity.vcpus,
                     identity.memory, identity.content_crc);
}

struct Words {
  std::string kind, data;
};

Words words_of(const Input& input) {
  if (const auto* serial = std::get_if<SerialInput>(&input)) {
    return {fmt::format("serial{}", serial->port), to_hex(serial->bytes)};
  }
  if (const auto* guest_gdb = std::get_if<GuestGdbInput>(&input)) {
    return {"guest-gdb", to_hex(guest_gdb->bytes)};
  }
  return {std::get<GuestGdbConnection>(input).connected ? "guest-gdb-up" : "guest-gdb-down", "-"};
}

std::optional<Input> input_of(const Words& words) {
  if (words.kind == "guest-gdb-up") return GuestGdbConnection{true};
  if (words.kind == "guest-gdb-down") return GuestGdbConnection{false};
  auto bytes = from_hex(words.data);
  if (!bytes) return std::nullopt;
  if (words.kind == "serial0") return SerialInput{0, std::move(*bytes)};
  if (words.kind == "serial1") return SerialInput{1, std::move(*bytes)};
  if (words.kind == "guest-gdb") return GuestGdbInput{std::move(*bytes)};
  return std::nullopt;
}

struct Line {
  Position at;
  Words words;
};

std::optional<Line> split(const std::string& text) {
  std::istringstream stream(text);
  Line line;
  if (!(stream >> line.at.count.value >> line.at.time.ns >> line.words.kind >> line.words.data)) {
    return std::nullopt;
  }
  std::string rest;
  if (stream >> rest) return std::nullopt;
  return line;
}

constexpr const char* kSeed = "seed";
constexpr const char *kEndByGuest = "end-by-guest", *kEndByOutside = "end-by-outside";

std::optional<JournalEnd> end_of(const Line& line) {
  const bool guest = line.words.kind == kEndByGuest;
  if (!guest && line.words.kind != kEndByOutside) return std::nullopt;
  const auto hash = parse_hex(line.words.data);
  if (!hash) return std::nullopt;
  return JournalEnd{line.at, guest ? JournalEnd::By::Guest : JournalEnd::By::Outside, *hash};
}

}  // namespace

Result<JournalWriter> JournalWriter::create(const std::string& path, const RunIdentity& identity,
                                            std::uint64_t seed) {
  JournalWriter writer;
  writer.path_ = path;
  writer.file_.open(path, std::ios::trunc);
  writer.file_ << header(identity) << '\n'
               << fmt::format("{} {:016x}\n", kSeed, seed) << std::flush;
  if (!writer.file_) {
    return fail(Error::from_errno(fmt::format("the journal {} cannot be written", path), errno));
  }
  return writer;
}

Result<void> JournalWriter::append(const JournalEntry& entry) {
  const Words words = words_of(entry.input);
  return write(fmt::format("{} {} {} {}", entry.at.count.value, entry.at.time.ns, words.kind,
                           words.data.empty() ? "-" : words.data));
}

Result<void> JournalWriter::finish(const JournalEnd& end) {
  return write(fmt::format("{} {} {} {:016x}", end.at.count.value, end.at.time.ns,
                           end.by == JournalEnd::By::Guest ? kEndByGuest : kEndByOutside,
                           end.hash));
}

Result<void> JournalWriter::write(const std::string& line) {
  file_ << line << '\n' << std::flush;
  if (!file_) {
    return fail(Error::from_errno(fmt::format("the journal {} cannot be written", path_), errno));
  }
  return {};
}

Result<JournalReader> JournalReader::open(const std::string& path, const RunIdentity& identity) {
  std::ifstream file(path);
  if (!file) {
    return fail(Error::from_errno(fmt::format("the journal {} cannot be read", path), errno));
  }
  std::string line;
  std::getline(file, line);
  if (line.rfind("ringside-journal ", 0) != 0) {
    return fail(ErrorCode::BadRequest, fmt::format("{} is not a journal of ringside", path));
  }
  if (line.rfind("ringside-journal 4 ", 0) != 0) {
    return fail(ErrorCode::BadRequest,
                fmt::format("the journal {} is of another version of ringside", path));
  }
  if (line != header(identity)) {
    return fail(ErrorCode::BadRequest,
                fmt::format("the journal {} belongs to another run: it says \"{}\", this run is "
                            "\"{}\" (same kernel, initrd, command line, -c and -m are needed)",
                            path, line, header(identity)));
  }
  JournalReader reader;
  for (std::size_t number = 2; std::getline(file, line); ++number) {
    if (number == 2 ? !reader.take_seed(line) : !reader.take_line(line)) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("the journal {} is damaged at line {}", path, number));
    }
  }
  if (!reader.has_seed_) {
    return fail(ErrorCode::BadRequest,
                fmt::format("the journal {} has no seed of random numbers", path));
  }
  return reader;
}

// False: it is no seed.
bool JournalReader::take_seed(const std::string& text) {
  std::istringstream stream(text);
  std::string kind, data, rest;
  if (!(stream >> kind >> data) || kind != kSeed || stream >> rest) return false;
  const auto seed = parse_hex(data);
  if (!seed) return false;
  seed_ = *seed;
  has_seed_ = true;
  return true;
}

// False: it is damaged, or out of order.
bool JournalReader::take_line(const std::string& text) {
  const auto line = split(text);
  if (!line || end_ || (!entries_.empty() && line->at.count < entries_.back().at.count))
    return false;
  end_ = end_of(*line);
  if (end_) return true;
  auto input = input_of(line->words);
  if (!input) return false;
  entries_.push_back({line->at, std::move(*input)});
  return true;
}

}  // namespace ringside::time
