#include "time/record/journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/hex.h"
#include "base/mebibytes.h"
#include "base/output_file.h"
#include "base/write_all.h"
#include "machine/share/virtio_share.h"

namespace ringside::time {
namespace {

constexpr const char *kFormat = "ringside-journal", *kVersion = "17";

// The longest has an answer of a file server, with two digits for a byte, and few words before it.
constexpr std::size_t kLongestLine = std::size_t{2} * machine::VirtioShare::kMaxMessage + 4096;

// What the first line of a journal says of its run; nothing: it says something else.
std::optional<RunIdentity> identity_of(std::istream& words) {
  RunIdentity identity;
  std::string vcpus, memory, content, figure, rest;
  if (!(words >> vcpus >> identity.vcpus >> memory >> identity.memory >> content >> figure) ||
      words >> rest)
    return std::nullopt;
  const auto value = parse_hex(figure);
  if (vcpus != "vcpus" || memory != "memory" || content != "content" || !value) return std::nullopt;
  identity.content = *value;
  return identity;
}

std::string how_another(const RunIdentity& there, const RunIdentity& here) {
  std::string text;
  const auto add = [&](const std::string& difference) {
    text += (text.empty() ? "" : "; ") + difference;
  };
  if (there.vcpus != here.vcpus)
    add(fmt::format("it has {} vCPUs there, {} here (-c)", there.vcpus, here.vcpus));
  if (there.memory != here.memory) {
    add(fmt::format("it has {} of memory there, {} here (-m)", in_mebibytes(there.memory),
                    in_mebibytes(here.memory)));
  }
  if (there.content != here.content) {
    add("it was given something else: the firmware, the kernel, initrd and command line, what is "
        "in the files of -d and --firmware-vars, --virtio, the tags of --share, and whether there "
        "are --net, --vsock, --rng, --console and --vga must be the same");
  }
  return text;
}

std::string header(const RunIdentity& identity) {
  return fmt::format("{} {} vcpus {} memory {} content {:016x}", kFormat, kVersion, identity.vcpus,
                     identity.memory, identity.content);
}

// COUNT, COUNT+PARTS where there are any, and the virtual time.
std::string words_of(const Position& at) {
  const hypervisor::Progress& progress = at.progress;
  const std::string parts = progress.parts == 0 ? "" : fmt::format("+{}", progress.parts);
  return fmt::format("{}{} {}", progress.instructions.value, parts, at.time.ns);
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<Position> take_position(std::istream& words) {
  std::string progress, time;
  if (!(words >> progress >> time)) return std::nullopt;
  const std::size_t plus = std::min(progress.find('+'), progress.size());
  const auto count = number(std::string_view(progress).substr(0, plus));
  const auto parts = plus == progress.size() ? std::optional(std::uint64_t{0})
                                             : number(std::string_view(progress).substr(plus + 1));
  const auto ns = number(time);
  if (!count || !parts || !ns) return std::nullopt;
  return Position{{{*count}, *parts}, {*ns}};
}

constexpr const char *kSeed = "seed", *kDate = "date", *kProcessor = "cpu";
constexpr const char* kCheck = "check";
constexpr const char *kEndByGuest = "end-by-guest", *kEndByOutside = "end-by-outside";

std::optional<JournalEnd> take_end(const Position& at, std::istream& words, unsigned vcpus) {
  std::string kind, data, rest;
  words >> kind >> data;
  const bool guest = kind == kEndByGuest;
  const auto hash = parse_hex(data);
  if ((!guest && kind != kEndByOutside) || !hash) return std::nullopt;
  JournalEnd end{at, guest ? JournalEnd::By::Guest : JournalEnd::By::Outside, *hash};
  if (!(words >> rest)) return end;
  if (rest != kCheck) return std::nullopt;
  end.check = check_of_words(words, vcpus);
  if (!end.check) return std::nullopt;
  return end;
}

// A recording replaces a recording, an empty file, and what is no file, such as a device. A kernel
// whose name has come behind --record stays.
bool has_something_else(const std::string& path) {
  std::error_code problem;
  if (!std::filesystem::is_regular_file(path, problem) ||
      std::filesystem::file_size(path, problem) == 0)
    return false;
  std::ifstream file(path);
  if (!file) return false;  // nor can it be written, or nobody knows what it has
  std::string first(std::string_view(kFormat).size(), '\0');
  file.read(first.data(), static_cast<std::streamsize>(first.size()));
  return first != kFormat;
}

}  // namespace

Result<JournalWriter> JournalWriter::create(const std::string& path, const RunIdentity& identity,
                                            const RunStart& start) {
  if (has_something_else(path)) {
    return fail(ErrorCode::BadRequest,
                fmt::format("'{}' is there already, and is not a journal of ringside", path));
  }
  JournalWriter writer;
  writer.path_ = path;
  writer.file_ = TRY(open_output(path));
  TRY(writer.write(fmt::format("{}\n{} {:016x}\n{} {}\n{} {}", header(identity), kSeed, start.seed,
                               kDate, start.date, kProcessor, name_of(start.processor))));
  return writer;
}

Result<void> JournalWriter::append(const JournalEntry& entry) {
  return write(words_of(entry.at) + " " + to_words(entry.input));
}

Result<void> JournalWriter::append(const Position& at, const Check& check) {
  return write(fmt::format("{} {} {}", words_of(at), kCheck, to_words(check)));
}

Result<void> JournalWriter::finish(const JournalEnd& end) {
  const std::string check =
      end.check ? fmt::format(" {} {}", kCheck, to_words(*end.check)) : std::string();
  return write(fmt::format("{} {} {:016x}{}", words_of(end.at),
                           end.by == JournalEnd::By::Guest ? kEndByGuest : kEndByOutside, end.hash,
                           check));
}

// Each line at once: a process that is killed leaves what has happened.
Result<void> JournalWriter::write(const std::string& line) {
  const std::string whole = line + '\n';
  if (write_all(file_, std::as_bytes(std::span(whole)))) return {};
  return fail(Error::from_errno(fmt::format("the journal {} cannot be written", path_), errno));
}

Result<JournalReader> JournalReader::open(const std::string& path, const RunIdentity& identity) {
  std::ifstream file(path);
  if (!file) {
    return fail(Error::from_errno(fmt::format("the journal {} cannot be read", path), errno));
  }
  return read(file, path, identity);
}

Result<JournalReader> JournalReader::read(std::istream& text, const std::string& name,
                                          const RunIdentity& identity) {
  // What is no journal need not have lines, nor an end: /dev/zero has neither.
  std::array<char, 256> beginning{};
  text.getline(beginning.data(), beginning.size());
  std::string line = beginning.data();
  std::istringstream first(line);
  std::string format, version;
  first >> format >> version;
  if (format != kFormat)
    return fail(ErrorCode::BadRequest, fmt::format("'{}' is not a journal of ringside", name));
  if (version != kVersion) {
    return fail(ErrorCode::BadRequest,
                fmt::format("the journal {} is of version {} and was written by another version of "
                            "ringside; this one reads version {}",
                            name, version, kVersion));
  }
  const std::optional<RunIdentity> recorded = identity_of(first);
  if (!recorded)
    return fail(ErrorCode::BadRequest, fmt::format("the journal {} is damaged at line 1", name));
  if (*recorded != identity) {
    return fail(ErrorCode::BadRequest, fmt::format("the journal {} belongs to another run: {}",
                                                   name, how_another(*recorded, identity)));
  }
  JournalReader reader;
  std::size_t lines = 1;
  std::vector<char> room(kLongestLine + 1);
  while (text.getline(room.data(), static_cast<std::streamsize>(room.size()))) {
    line.assign(room.data(), static_cast<std::size_t>(text.gcount()) - (text.eof() ? 0 : 1));
    const bool is_start = lines++ <= kStartLines;
    if (is_start ? !reader.take_start(lines, line) : !reader.take_line(line, identity.vcpus)) {
      return fail(ErrorCode::BadRequest,
                  fmt::format("the journal {} is damaged at line {}", name, lines));
    }
  }
  if (!text.eof() && !text.bad()) {
    return fail(ErrorCode::BadRequest,
                fmt::format("the journal {} is damaged at line {}, which is longer than any may be",
                            name, lines + 1));
  }
  if (text.bad())
    return fail(Error::from_errno(fmt::format("the journal {} cannot be read", name), errno));
  if (lines <= kStartLines) {
    constexpr const char* kStart[] = {"seed of random numbers", "date", "processor"};
    return fail(ErrorCode::BadRequest,
                fmt::format("the journal {} has no {}", name, kStart[lines - 1]));
  }
  return reader;
}

// False: it is not what that line of a journal has.
bool JournalReader::take_start(std::size_t line, const std::string& text) {
  std::istringstream stream(text);
  std::string kind, data, rest;
  if (!(stream >> kind >> data) || stream >> rest) return false;
  if (line == 2) {
    const auto seed = parse_hex(data);
    start_.seed = seed.value_or(0);
    return kind == kSeed && seed;
  }
  if (line == 3) {
    const auto date = number(data);
    start_.date = static_cast<std::int64_t>(date.value_or(0));
    return kind == kDate && date && *date <= machine::kLastDate;
  }
  using hypervisor::Processor;
  start_.processor = data == name_of(Processor::V3) ? Processor::V3 : Processor::V2;
  return kind == kProcessor && data == name_of(start_.processor);
}

// False: it is damaged, or out of order.
bool JournalReader::take_line(const std::string& text, unsigned vcpus) {
  std::istringstream words(text);
  const std::optional<Position> at = take_position(words);
  if (!at || end_ || *at < last_) return false;
  last_ = *at;
  const std::istream::pos_type after_position = words.tellg();
  const auto again = [&] {
    words.clear();
    words.seekg(after_position);
  };
  if (std::string kind; words >> kind && kind == kCheck) {
    auto check = check_of_words(words, vcpus);
    if (check) checks_.push_back({{*at, entries_.size()}, std::move(*check)});
    return check.has_value();
  }
  again();
  end_ = take_end(*at, words, vcpus);
  if (end_) return true;
  again();
  auto input = input_of_words(words, vcpus);
  if (!input) return false;
  entries_.push_back({*at, std::move(*input)});
  return true;
}

}  // namespace ringside::time
