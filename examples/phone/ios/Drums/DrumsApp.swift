import AVFoundation
import SwiftUI

@main
struct DrumsApp: App {
    @StateObject private var drums = Drums()

    var body: some Scene {
        WindowGroup {
            ScrollView {
                VStack {
                    ForEach(drums.classes, id: \.self) { name in
                        Button(name) { drums.play(name) }.buttonStyle(.borderedProminent).padding()
                    }
                    Text(drums.problem)
                }
                .frame(maxWidth: .infinity)
            }
        }
    }
}

/// Makes a new sound of a class, and plays it.
final class Drums: ObservableObject {
    @Published private(set) var classes: [String] = []
    @Published private(set) var problem = ""
    private let engine = AVAudioEngine(), player = AVAudioPlayerNode()
    private let queue = DispatchQueue(label: "sounds") // a model is for one thread at a time
    private var model: SoundModel?
    private var format: AVAudioFormat?
    private let seed = Int64(Date().timeIntervalSince1970)
    private var index: Int64 = 0

    init() {
        do {
            let model = try SoundModel(named: "drums")
            let format = AVAudioFormat(standardFormatWithSampleRate: model.sampleRate, channels: 1)
            try AVAudioSession.sharedInstance().setCategory(.playback)
            engine.attach(player)
            engine.connect(player, to: engine.mainMixerNode, format: format)
            try engine.start()
            player.play()
            (self.model, self.format, classes) = (model, format, model.classes)
        } catch {
            problem = "\(error)"
        }
    }

    func play(_ name: String) {
        queue.async { [self] in
            guard let samples = try? model?.make(name, seed: seed, index: index), let format,
                  let buffer = AVAudioPCMBuffer(pcmFormat: format, frameCapacity: AVAudioFrameCount(samples.count)),
                  let channel = buffer.floatChannelData?[0] else { return }
            index += 1
            channel.update(from: samples, count: samples.count)
            buffer.frameLength = buffer.frameCapacity
            player.scheduleBuffer(buffer, at: nil, options: .interrupts)
        }
    }
}
