// Small texts that others write: the command line, endpoints, sizes and numbers, the kernel's words
// about sockets and users, what a debugger of another host says before it has said the token, keys,
// the names of NBD servers and what the process that talks with one says, what `ringside run` reads
// of a kernel and its modules, and the archive that it makes.
// The first byte says as what the rest is taken. What is taken can be written and is taken again
// the same; what is not is one sentence; how the bytes arrive in pieces does not matter.
#include <linux/inet_diag.h>
#include <linux/netlink.h>

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/hex.h"
#include "base/memory_file.h"
#include "choices.h"
#include "cli/options/number.h"
#include "cli/options/options.h"
#include "cli/run/cpio.h"
#include "cli/run/kernel_configuration.h"
#include "cli/run/kernel_files.h"
#include "cli/run/kernel_modules.h"
#include "cli/terminal/terminal.h"
#include "debug/server/doorkeeper.h"
#include "guests/linux/vmcoreinfo.h"
#include "nbd/address.h"
#include "nbd/messages.h"
#include "rsp/framing.h"
#include "script.h"
#include "transport/endpoint.h"
#include "transport/peer.h"
#include "transport/socket_owner.h"

namespace {

using namespace ringside;
using fuzz::check;
using fuzz::Choices;

void endpoint(std::string_view text) {
  const auto parsed = transport::parse_endpoint(text);
  if (!parsed) {
    fuzz::check_sentence(parsed.error().text(), 3 * text.size());
    return;
  }
  const std::string written = transport::to_string(*parsed);
  const auto again = transport::parse_endpoint(written);
  check(again && *again == *parsed && transport::to_string(*again) == written);
}

void server_name(const std::string& text) {
  const std::string absolute = nbd::absolute(text);
  check(nbd::absolute(absolute) == absolute && nbd::is_address(absolute) == nbd::is_address(text));
  const auto uri = nbd::uri_of(text);
  if (!uri) {
    fuzz::check_sentence(uri.error().text(), text.size());
    return;
  }
  check(nbd::is_address(text) && nbd::uri_of(absolute));
  check(uri->starts_with("nbd://") || uri->starts_with("nbd+unix://"));
}

template <typename Head>
void servers_message(std::span<const std::byte> message) {
  const auto head = nbd::head_of<Head>(message);
  check(head.has_value() == (message.size() >= sizeof(Head)));
  if (!head) return;
  const auto again = nbd::to_message(*head, nbd::text_of<Head>(message));
  check(std::equal(again.begin(), again.end(), message.begin(), message.end()));
}

void server(std::string_view text) {
  server_name(std::string(text));
  server_name("nbd+unix:" + std::string(text));
  const auto message = std::as_bytes(std::span(text));
  servers_message<nbd::Request>(message);
  servers_message<nbd::Answer>(message);
  servers_message<nbd::Export>(message);
}

void numbers(std::string_view text) {
  const auto size = cli::parse_size(text);
  if (!size) fuzz::check_sentence(size.error().text(), text.size());
  if (size) {
    check(cli::parse_size(std::to_string(*size >> 10) + "K").value_or(~0ull) == *size);
    check(text.front() >= '0' && text.front() <= '9');
  }
  if (const auto number = cli::parse_number(text)) {
    check(cli::parse_number(std::to_string(*number)) == number);
    check(text.find_first_of("+- \t") == text.npos);
  }
  if (const auto number = parse_hex(text)) {
    std::uint64_t value = 0;
    for (const char c : text)
      value = value << 4 | static_cast<unsigned>(hex_digit(c));
    check(value == *number && text.size() <= 16);
  }
  if (const auto bytes = from_hex(text)) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
      return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    check(to_hex(*bytes) == lower);
  }
}

// Words are lines.
void command_line(std::string_view text) {
  std::vector<std::string> words{"ringside"};
  for (; words.size() < 40 && !text.empty();
       text.remove_prefix(std::min(text.size(), words.back().size() + 1))) {
    const std::string_view line = text.substr(0, text.find('\n'));
    words.emplace_back(line);
  }
  std::vector<const char*> arguments;
  std::size_t quoted = 0;
  for (const std::string& word : words) {
    arguments.push_back(word.c_str());
    quoted += word.size();
  }
  const auto parse = [&] {
    return cli::parse_command_line(static_cast<int>(arguments.size()), arguments.data());
  };
  const auto line = parse(), again = parse();
  check(line.has_value() == again.has_value());
  if (!line) {
    check(line.error().text() == again.error().text());
    // All of QEMU's options may be met at once.
    constexpr std::size_t kQemus = 4096;
    fuzz::check_sentence(line.error().text(), 3 * quoted + kQemus);
    return;
  }
  if (line->print) return;
  const cli::Options& options = line->options;
  check(options.cpus >= 1 && options.cpus <= kMaxVcpus);
  check(options.memory % kPageSize == 0 && options.memory >= 1u << 20);
  if (options.gdb) endpoint(transport::to_string(options.gdb->endpoint));
}

transport::TcpEnds some_ends(Choices& choices) {
  transport::TcpEnds ends;
  const std::uint32_t own = choices.below(2) == 0 ? 0x0100007f : choices.number<std::uint32_t>();
  ends.own = transport::mapped(&own);
  ends.other = ends.own;
  if (choices.below(2) == 0) ends.other.s6_addr[0] = 0x20;
  ends.own_port = static_cast<std::uint16_t>(0x4d2 + choices.below(2));
  ends.other_port = 0x4d3;
  return ends;
}

// "0100007F:04D2", as the kernel writes it.
std::string listed(const in6_addr& address, std::uint16_t port) {
  char text[48];
  const auto word = [&](unsigned i) {
    std::uint32_t value = 0;
    std::memcpy(&value, &address.s6_addr[4 * i], sizeof value);
    return value;
  };
  if (transport::is_mapped(address)) {
    std::snprintf(text, sizeof text, "%08X:%04X", word(3), port);
  } else {
    std::snprintf(text, sizeof text, "%08X%08X%08X%08X:%04X", word(0), word(1), word(2), word(3),
                  port);
  }
  return text;
}

// The list has the connection's line, perhaps with something odd in it, among others.
void socket_list(Choices& choices) {
  const transport::TcpEnds ends = some_ends(choices);
  const unsigned user = choices.odd<std::uint32_t>(1000), state = 1 + choices.below(12);
  const unsigned inode = choices.below(3);
  const bool is_right = choices.below(2) == 0;
  std::string line =
      "   1: " + listed(ends.other, ends.other_port) + " " + listed(ends.own, ends.own_port);
  char rest[120];
  std::snprintf(rest, sizeof rest, " %02X 00000000:00000000 02:000A 00000000 %5u 0 %u 2 0\n", state,
                user, inode);
  line += rest;
  if (!is_right && !line.empty()) {
    line[choices.below(256) % line.size()] = static_cast<char>(choices.below(256));
    if (choices.below(2) == 0) line.resize(choices.below(256) % (line.size() + 1));
  }
  const std::string before(choices.text(choices.below(64)));
  const std::string list = "  sl  local_address rem_address   st\n" + before + "\n" + line +
                           std::string(choices.text(64));
  const auto owner = transport::owner_listed(list, ends);
  check(owner == transport::owner_listed(list, ends));
  if (!is_right || transport::owner_listed(before, ends)) return;
  if (transport::has_owner(state, inode)) check(owner == user);
}

void socket_answer(Choices& choices) {
  const transport::TcpEnds ends = some_ends(choices);
  constexpr std::uint32_t kNumber = 7;
  struct Answer {
    nlmsghdr header;
    inet_diag_msg socket;
  } answer{};
  static_assert(sizeof answer == sizeof(nlmsghdr) + sizeof(inet_diag_msg));
  const auto question = transport::owner_question(ends, kNumber);
  inet_diag_req_v2 request{};
  std::memcpy(&request, &question[sizeof(nlmsghdr)], sizeof request);
  answer.header.nlmsg_len = choices.mostly<std::uint32_t>(sizeof answer);
  answer.header.nlmsg_type = choices.mostly<std::uint16_t>(20);
  answer.header.nlmsg_seq = choices.mostly(kNumber);
  answer.socket.idiag_family = choices.mostly(request.sdiag_family);
  answer.socket.idiag_state = static_cast<std::uint8_t>(choices.below(13));
  answer.socket.id = request.id;
  answer.socket.idiag_uid = choices.number<std::uint32_t>();
  answer.socket.idiag_inode = choices.below(3);
  std::vector<std::byte> bytes(sizeof answer);
  std::memcpy(bytes.data(), &answer, sizeof answer);
  if (choices.once_in(4)) bytes.resize(choices.below(sizeof answer + 8));
  const auto owner = transport::read_owner(bytes, ends, kNumber);
  if (!owner)
    fuzz::check_sentence(owner.error().text());
  else if (owner->owner)
    check(owner->is_found && *owner->owner == answer.socket.idiag_uid &&
          answer.socket.idiag_inode != 0);
}

// What a stranger says: in pieces and at once. Nobody comes in without the token.
void stranger(std::string_view said) {
  constexpr std::string_view kToken = "0123456789abcdef";
  struct End {
    debug::Doorkeeper::State state;
    std::string output;
    bool operator==(const End&) const = default;
  };
  // Each line of the input is a packet, or bytes as they are.
  std::string stream;
  for (unsigned lines = 0; !said.empty() && lines < 100; ++lines) {
    const std::string_view line = said.substr(0, said.find('\n'));
    said.remove_prefix(std::min(said.size(), line.size() + 1));
    if (line.starts_with(static_cast<char>(fuzz::kRaw)))
      stream += line.substr(1);
    else if (line.starts_with(static_cast<char>(fuzz::kMonitor)))
      stream += fuzz::framed(fuzz::monitor_packet(line.substr(1)));
    else
      stream += fuzz::framed(line);
  }
  const auto say = [&](std::size_t piece) {
    debug::Doorkeeper doorkeeper{std::string(kToken), debug::Abilities{}};
    End end{};
    std::string_view rest = stream;
    while (!rest.empty() && doorkeeper.state() == debug::Doorkeeper::State::Asking) {
      const std::string_view now = rest.substr(0, piece);
      rest.remove_prefix(now.size());
      doorkeeper.on_bytes(std::as_bytes(std::span(now)));
      // Who says much more than it hears gets no more than that.
      check(doorkeeper.output().size() < 8 * (stream.size() + 4096));
      while (!doorkeeper.output().empty()) {
        end.output += doorkeeper.output();
        doorkeeper.wrote(doorkeeper.output().size());
      }
    }
    end.state = doorkeeper.state();
    return end;
  };
  const End whole = say(std::string_view::npos);
  check(say(1) == whole);
  if (whole.state == debug::Doorkeeper::State::Admitted)
    check(stream.find(to_hex(kToken)) != stream.npos);
  const rsp::Opening opening = rsp::opening(stream);
  check((opening == rsp::Opening::Other) == (whole.state == debug::Doorkeeper::State::NoDebugger));
}

void keys(std::span<const std::uint8_t> typed) {
  const auto type = [&](std::size_t piece) {
    cli::KeyFilter filter;
    std::vector<std::byte> taken;
    std::vector<cli::KeyCommand> commands;
    for (auto rest = typed; !rest.empty();) {
      const auto now = rest.first(std::min(piece, rest.size()));
      rest = rest.subspan(now.size());
      const auto some = filter.filter(std::as_bytes(now));
      taken.insert(taken.end(), some.begin(), some.end());
      for (const cli::KeyCommand command : filter.take_commands())
        if (commands.size() < 8) commands.push_back(command);
    }
    return std::pair(taken, commands);
  };
  const auto whole = type(std::numeric_limits<std::size_t>::max()), pieces = type(1);
  check(whole == pieces && whole.first.size() <= typed.size());
}

// The text as a kernel's file, whose version becomes a part of paths.
void kernel_file(std::string_view text) {
  const Fd file = create_memory_file("kernel", text.size()).value();
  check(::pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  const cli::Places nowhere{"/nowhere", "/nowhere", "0"};
  const cli::KernelFiles files =
      cli::files_of("/proc/self/fd/" + std::to_string(file.get()), nowhere);
  check(files.version.size() <= 80);
  check(files.version.find_first_of(std::string_view("/ \n\0", 4)) == std::string::npos);
}

void runs_words(std::string_view text) {
  const cli::GuestNeeds all{true, true, true, true, true, true, true, true};
  const std::string configuration(text);
  const auto missing = cli::missing_in(configuration, all);
  for (const std::string& sentence : missing)
    fuzz::check_sentence(sentence);
  check(cli::missing_in(configuration + "\nCONFIG_VIRTIO_BLK=m\n", all).size() <= missing.size());
  if (cli::has_modules(text)) check(text.find("CONFIG_MODULES=") != text.npos);
  const auto bytes = std::as_bytes(std::span(text));
  std::size_t needed = 0;
  for (const std::string& name : cli::needed_by({bytes.begin(), bytes.end()})) {
    check(!name.empty() && name.find_first_of(std::string_view("-,\0", 3)) == std::string::npos);
    needed += name.size();
  }
  check(needed <= text.size());
  kernel_file(text);
}

// The n-th number of eight digits in an entry's header.
std::size_t number_in(std::span<const std::byte> entry, unsigned n) {
  const std::string_view header(reinterpret_cast<const char*>(entry.data()), entry.size());
  return parse_hex(header.substr(6 + std::size_t{8} * n, 8)).value();
}

// Read as cpio(5) has it: the name and the content are there, each where it should begin.
void archive(std::string_view text) {
  const std::string name(text.substr(0, std::min<std::size_t>(text.size(), text.size() % 61)));
  cli::CpioArchive archive;
  check(archive.add_file(name, 0644, text).has_value());
  archive.add_link(name, text);
  const std::vector<std::byte> bytes = std::move(archive).finish();
  check(bytes.size() % 4 == 0);
  std::span<const std::byte> rest(bytes);
  const auto take = [&rest](std::size_t size) {
    const std::string taken(reinterpret_cast<const char*>(rest.data()), size);
    rest = rest.subspan(size);
    return taken;
  };
  for (unsigned entries = 0; entries < 3; ++entries) {
    constexpr std::size_t kHeader = 110;
    check(rest.size() >= kHeader);
    const std::size_t content = number_in(rest, 6), named = number_in(rest, 11);
    check(take(kHeader).starts_with("070701"));
    const std::string found = take(named);
    check(found == (entries < 2 ? name : "TRAILER!!!") + '\0');
    take((4 - (kHeader + named) % 4) % 4);
    check(take(content) == (entries < 2 ? text : ""));
    take((4 - content % 4) % 4);
  }
  check(rest.empty());
}

void kernel_words(std::string_view text) {
  runs_words(text);
  archive(text);
  (void)transport::maps_all_users(std::string(text));
  const auto note = guests::vmcoreinfo_note(std::as_bytes(std::span(text)));
  if (note) check(text.find(*note) != text.npos && note->starts_with("OSRELEASE="));
  const std::string_view info = note ? std::string_view(*note) : text;
  (void)guests::vmcoreinfo_symbol(info, "swapper_pg_dir");
  (void)guests::kernels_page_table(info);
  if (const auto at = guests::find_banner(text))
    check(text.substr(*at).starts_with("Linux version "));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4096) return 0;
  Choices choices(data, size);
  const unsigned kind = choices.below(8);
  if (kind == 3) {
    socket_list(choices);
    return 0;
  }
  if (kind == 4) {
    socket_answer(choices);
    return 0;
  }
  const auto bytes = choices.rest();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  switch (kind) {
    case 0:
      endpoint(text);
      server(text);
      break;
    case 1:
      numbers(text);
      break;
    case 2:
      command_line(text);
      break;
    case 5:
      stranger(text);
      break;
    case 6:
      keys(bytes);
      break;
    default:
      kernel_words(text);
      break;
  }
  return 0;
}
