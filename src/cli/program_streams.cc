// The program's part in what goes between devices and the outside: bytes that the guest says and
// gets, at standard streams, files and endpoints, and random numbers.
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <variant>

#include "cli/program.h"
#include "cli/terminal/notice.h"

namespace ringside::cli {

machine::ByteSink Program::sink_into(const std::shared_ptr<HostOutput>& output) {
  return {[this, output](std::span<const std::byte> bytes) {
            if (in_past()) return;
            silence_.heard();
            output->append(bytes);
          },
          [this, output] { return !in_past() && output->full(); }};
}

machine::ByteSink Program::sink_into(DeviceOutput& output) {
  return machine::ByteSink([this, &output](std::span<const std::byte> bytes) {
    if (!in_past()) output.send(bytes);
  });
}

const std::shared_ptr<HostOutput>& Program::standard_output() {
  if (!stdout_) {
    stdout_ = HostOutput::standard_output(poller_);
    outputs_.push_back(stdout_);
  }
  return stdout_;
}

Result<machine::ByteSink> Program::sink(const Stream& stream, DeviceOutput& endpoint) {
  if (std::holds_alternative<StdioStream>(stream)) return sink_into(standard_output());
  if (const auto* file = std::get_if<FileStream>(&stream)) {
    outputs_.push_back(TRY(HostOutput::file(poller_, file->path)));
    return sink_into(outputs_.back());
  }
  if (std::holds_alternative<transport::Endpoint>(stream)) return sink_into(endpoint);
  return machine::ByteSink();
}

Result<std::unique_ptr<transport::SingleClient>> Program::listen(
    const transport::Endpoint& endpoint, const std::string& name,
    transport::ClientHandler& handler) {
  auto client = TRY(transport::SingleClient::open(poller_, endpoint, name, handler, admission()));
  say_where({name,
             to_string(*client->endpoint()),
             client->reachable_from_outside(),
             options_.gdb_allow,
             {}});
  return client;
}

Result<void> Program::open_line(Line& line, const transport::Endpoint& endpoint,
                                const std::string& name, DeviceClient::Device device) {
  line.handler = std::make_unique<DeviceClient>(line.bytes, std::move(device));
  line.client = TRY(listen(endpoint, name, *line.handler));
  return {};
}

// What comes from outside while the machine is in its past waits there.
Result<void> Program::open_input(Line& line, const Stream& stream, const std::string& name,
                                 std::function<std::size_t()> room,
                                 std::function<void(std::span<const std::byte>)> receive) {
  const auto room_now = [this, room = std::move(room)] { return in_past() ? 0 : room(); };
  if (const auto* endpoint = std::get_if<transport::Endpoint>(&stream))
    return open_line(line, *endpoint, name, {room_now, std::move(receive), nullptr});
  if (std::holds_alternative<StdioStream>(stream))
    keyboard_ = std::make_unique<Console>(poller_, room_now, std::move(receive));
  return {};
}

Result<void> Program::open_clients() {
  // First, so that what is said from here on is below the screen.
  if (options_.vga == Vga::Text) open_display();
  if (options_.gdb) say_where_debugger_is();
  if (options_.vsock) TRY(lines_.open_to_programs(options_.vsock->path));
  if (options_.guest_gdb) {
    TRY(open_line(guest_gdb_, *options_.guest_gdb, "guest gdb",
                  {[this] { return in_past() ? 0 : machine_->guest_gdb_room(); },
                   [this](std::span<const std::byte> bytes) {
                     note(timeline_->input(machine::GuestGdbInput{{bytes.begin(), bytes.end()}}));
                   },
                   [this](bool connected) {
                     note(timeline_->input(machine::GuestGdbConnection{connected}));
                   }}));
  }
  if (options_.qmp) TRY(open_qmp());
  TRY(open_input(
      serial_, options_.serial, "serial", [this] { return machine_->serial_room(0); },
      [this](std::span<const std::byte> bytes) {
        note(timeline_->input(machine::SerialInput{0, {bytes.begin(), bytes.end()}}));
      }));
  TRY(open_input(
      console_, options_.console, "console", [this] { return machine_->console_room(); },
      [this](std::span<const std::byte> bytes) {
        note(timeline_->input(machine::ConsoleInput{{bytes.begin(), bytes.end()}}));
      }));
  if (options_.run && keyboard_ && keyboard_->is_terminal())
    notice("run: Ctrl-A h shows the keys that are not the guest's");
  return {};
}

void Program::open_display() {
  const auto press = [this](std::span<const std::byte> codes) {
    note(timeline_->input(machine::KeyInput{{codes.begin(), codes.end()}}));
  };
  display_ = std::make_unique<TextDisplay>(
      *machine_, ram_, standard_output(),
      TextDisplay::Keyboard{[this] { return in_past() ? 0 : machine_->keyboard_room(); }, press});
  keyboard_ = std::make_unique<Console>(
      poller_, [this] { return display_->room(); },
      [this](std::span<const std::byte> typed) { display_->type(typed); });
  // What was on the terminal goes where it keeps what has scrolled.
  winsize size{};
  const bool is_known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  const std::string rows(is_known ? size.ws_row : 0, '\n');
  standard_output()->append(std::as_bytes(std::span(rows)));
  display_->update(TextDisplay::Clock::now());
  standard_output()->flush();
  if (!options_.bios.empty() && video_bios_.empty()) {
    notice("--vga: there is no {} (apt install seabios), without which SeaBIOS shows nothing",
           kVideoBios);
  }
}

void Program::settle_streams() {
  for (const auto& output : outputs_) {
    output->flush();
    if (!output->has_room_again()) continue;
    machine_->output_has_room();
    poller_.wake();  // the software CPU has something to run
  }
  for (Line* line : {&guest_gdb_, &serial_, &console_}) {
    line->bytes.collect();
    if (line->client) line->client->update();
  }
  if (keyboard_) keyboard_->update();
  const bool travelling = travels_ && travels_->busy();
  if (display_ && !travelling) display_->update(TextDisplay::Clock::now());
}

// Only where somebody may wait at this console: a screen shows what there is, and a machine that
// was saved goes on as it was.
void Program::say_when_silent() {
  const bool is_here = std::holds_alternative<StdioStream>(options_.serial) ||
                       std::holds_alternative<StdioStream>(options_.console);
  if (!is_here || saved_ != nullptr || in_past()) return;
  if (!boot_.is_linux && options_.bios.empty()) return;
  if (!silence_.has_become_long(engine_->now())) return;
  constexpr std::string_view kLook = "or hang: a debugger sees where (-G 1234, Ctrl-A d)";
  if (boot_.is_linux) {
    notice(
        "guest: Linux has said nothing here in {} s of its time; it may lack the driver "
        "(of ttyS0 CONFIG_SERIAL_8250_CONSOLE, of hvc0 CONFIG_VIRTIO_CONSOLE), have another "
        "'console=', {}",
        Silence::kLong.ns / 1'000'000'000, kLook);
  } else {
    notice(
        "guest: the firmware has said nothing here in {} s of its time; it may have another "
        "console (--vga text), lack its variables (--firmware-vars), {}",
        Silence::kLong.ns / 1'000'000'000, kLook);
  }
}

// A replay has those of the recorded run, and so has the past.
void Program::give_random_numbers() {
  if (options_.rng == Rng::None || !options_.replay.empty() || in_past()) return;
  const std::size_t wanted = machine_->random_wanted();
  if (wanted == 0) return;
  machine::RandomInput input{std::vector<std::byte>(wanted)};
  const ssize_t count = ::getrandom(input.bytes.data(), wanted, 0);
  if (count <= 0) {
    if (count < 0 && errno == EINTR) return poller_.wake();
    return note(fail(Error::from_errno("--rng: no random numbers from the host", errno)));
  }
  input.bytes.resize(static_cast<std::size_t>(count));
  note(timeline_->input(std::move(input)));
  poller_.wake();  // the guest goes on, whatever this round's slice did
}

}  // namespace ringside::cli
